"""The BERT encoder: weights, tokens, calibration, the quantized model, its checkpoints and its accuracy."""
