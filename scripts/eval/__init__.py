"""Evaluation of models: metrics, cached batches, worker processes, the grid of trained models."""
