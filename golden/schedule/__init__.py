"""Scheduling of GEMM jobs: tiling, tile orders, command generation and predicted cycles."""
