"""Integer arithmetic of the reference model: codec, packing, quantizers, GEMM, requantization."""
