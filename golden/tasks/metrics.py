"""GLUE's metrics: how well predictions agree with the labels that people gave."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["METRICS", "Metric", "accuracy", "f1", "matthews", "pearson", "ranks", "spearman"]


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Linear correlation, -1..1, of two samples.

    Raises ValueError for samples of unequal lengths and for a constant sample.
    """
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"samples: expected two of one length, got shapes {x.shape} and {y.shape}")
    x, y = x - x.mean(), y - y.mean()
    spread = np.sqrt((x @ x) * (y @ y))
    if not spread:
        raise ValueError("samples: expected differing values, got a constant sample")
    return float(np.clip(x @ y / spread, -1, 1))


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Rank correlation, -1..1, of two samples; equal values share their average rank.

    Raises ValueError as `pearson` does.
    """
    return pearson(ranks(a), ranks(b))


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1; equal values share the average of their ranks."""
    _, group, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    averages: NDArray[np.float64] = last - (counts - 1) / 2
    return averages[group]


def accuracy(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Fraction of predicted classes that equal their labels, 0..1.

    Raises ValueError for unequal lengths and for empty samples, as `f1` and `matthews` do.
    """
    x, y = _classes(predicted, labels)
    return float((x == y).mean())


def f1(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Harmonic mean of precision and recall of class 1, 0..1; 0 if no sample is of class 1."""
    x, y = _classes(predicted, labels)
    hits, marked = int(((x == 1) & (y == 1)).sum()), int((x == 1).sum() + (y == 1).sum())
    return 2 * hits / marked if marked else 0.0


def matthews(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Matthews correlation of the classes 0 and 1, -1..1; 0 if either sample is constant."""
    x, y = _classes(predicted, labels)
    return 0.0 if len(set(x)) < 2 or len(set(y)) < 2 else pearson(x, y)


Metric = Callable[[ArrayLike, ArrayLike], float]


def _of_predictions(correlation: Metric) -> Metric:
    """The correlation, or 0 for constant predictions: a useless model is not an error."""
    return lambda predicted, labels: (
        0.0 if np.ptp(predicted) == 0 else correlation(predicted, labels)
    )


METRICS: Mapping[str, Metric] = {
    "pearson": _of_predictions(pearson),
    "spearman": _of_predictions(spearman),
    "accuracy": accuracy,
    "f1": f1,
    "matthews": matthews,
}
"""Metrics of predictions (classes or scores) against labels, by name."""


def _classes(
    predicted: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    x, y = np.asarray(predicted, np.int64), np.asarray(labels, np.int64)
    if x.shape != y.shape or x.ndim != 1 or not x.size:
        raise ValueError(f"samples: expected two of one length, got shapes {x.shape} and {y.shape}")
    return x, y
