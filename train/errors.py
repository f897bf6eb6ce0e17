"""Errors of training, in a module that does not import PyTorch."""

__all__ = ["TrainingError"]


class TrainingError(Exception):
    """Training cannot continue: the loss is not finite, or its state cannot be written."""
