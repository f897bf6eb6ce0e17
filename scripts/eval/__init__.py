"""Scores of models: evaluations, kept batches, worker processes, the grid of trained models."""
