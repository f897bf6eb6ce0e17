"""The NumPy model that defines every bit: formats, quantizers, exact GEMM, requantization and the BERT encoder."""
