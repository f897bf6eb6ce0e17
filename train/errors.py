"""What can go wrong in training, for those who do not import PyTorch."""


class TrainingError(Exception):
    """A loss that is not a number."""
