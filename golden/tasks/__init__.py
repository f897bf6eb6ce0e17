"""Benchmark tasks: GLUE's files and metrics."""
