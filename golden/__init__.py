"""The NumPy reference model, which defines the accelerator's results bit by bit.

It contains number formats, quantizers, the exact GEMM, requantization and the BERT encoder.
"""
