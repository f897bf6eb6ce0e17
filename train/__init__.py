"""Quantization-aware training of a BERT in PyTorch; it writes checkpoints that `golden` reads."""
