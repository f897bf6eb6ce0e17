"""Checks of numbers and arrays; each error says "name: expected X, got Y"."""

import numpy as np
from numpy.typing import NDArray

from golden.numeric.codec import first

__all__ = ["FLOAT_MAX", "check_count", "check_finite", "check_reals", "check_scale", "expect"]

FLOAT_MAX = float(np.finfo(np.float32).max)


def expect(what: str, expected: object, got: object) -> None:
    """Raise ValueError naming `what` unless `expected` equals `got`."""
    if expected != got:
        raise ValueError(f"{what}: expected {expected}, got {got}")


def check_count(value: object, what: str) -> None:
    """Raise ValueError naming `what` unless `value` is an int of 1 or more; a bool is refused."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{what}: expected an integer of 1 or more, got {value!r}")


def check_reals(array: NDArray[np.generic], shape: tuple[int, ...], what: str) -> None:
    """Raise ValueError naming `what` unless `array` is float32 of `shape` with finite elements."""
    expect(f"{what}: shape", shape, array.shape)
    expect(f"{what}: type", np.dtype(np.float32), array.dtype)
    check_finite(array, what)


def check_finite(array: NDArray[np.generic], what: str) -> None:
    """Raise ValueError naming `what` and the index of the first element that is not finite."""
    wrong = ~np.isfinite(array)
    if wrong.any():
        raise ValueError(f"{what}: expected finite numbers, got {first(array, wrong)}")


def check_scale(scale: float | NDArray[np.float64], largest: int, what: str) -> None:
    """Raise ValueError naming `what` unless every scale is finite, positive and large enough.

    The real value of a code is decoded value / scale. A scale is large enough if the decoded value
    `largest` stays finite in float32.
    """
    scales = np.asarray(scale, np.float64)
    wrong = ~(np.isfinite(scales) & (scales > 0))
    if wrong.any():
        raise ValueError(f"{what}: expected finite numbers above 0, got {first(scales, wrong)}")
    least = largest / FLOAT_MAX
    if (wrong := scales < least).any():
        raise ValueError(f"{what}: expected {least:.1e} or more, got {first(scales, wrong)}")
