"""Quantization-aware training of a BERT in PyTorch: writes the checkpoints that `golden` reads."""
