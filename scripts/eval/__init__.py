"""How well a model does: evaluations, batches that are kept, many processes, the grid of trained models."""
