"""Codes and exact integers: decoding, packing, quantization, the GEMM, requantization."""
