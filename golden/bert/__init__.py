"""BERT: weights, tokens, float and quantized encoders, calibration, checkpoints and evaluation."""
