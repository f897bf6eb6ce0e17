"""Benchmark tasks and their data."""
