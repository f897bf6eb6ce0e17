"""Checks that records of numbers share: each error names what it is about, what was expected and what came."""

import numpy as np
from numpy.typing import NDArray

from golden.numeric.codec import first

__all__ = ["FLOAT_MAX", "check_count", "check_finite", "check_reals", "check_scale", "expect"]

FLOAT_MAX = float(np.finfo(np.float32).max)


def expect(what: str, expected: object, got: object) -> None:
    """Raise ValueError naming `what` unless both are equal."""
    if expected != got:
        raise ValueError(f"{what}: expected {expected}, got {got}")


def check_count(value: object, what: str) -> None:
    """Raise ValueError naming `what` unless `value` is an int of 1 or more; True is none."""
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError(f"{what}: expected an integer of 1 or more, got {value!r}")


def check_reals(array: NDArray[np.generic], shape: tuple[int, ...], what: str) -> None:
    """Raise ValueError naming `what` unless `array` is float32 of `shape`, every element finite."""
    expect(f"{what}: shape", shape, array.shape)
    expect(f"{what}: type", np.dtype(np.float32), array.dtype)
    check_finite(array, what)


def check_finite(array: NDArray[np.generic], what: str) -> None:
    """Raise ValueError naming `what` and the index of the first element that is not finite."""
    wrong = ~np.isfinite(array)
    if wrong.any():
        raise ValueError(f"{what}: expected finite numbers, got {first(array, wrong)}")


def check_scale(scale: float | NDArray[np.float64], largest: int, what: str) -> None:
    """Raise ValueError naming `what` unless every scale is finite, above 0, and `largest` / scale within float32.

    Real value = decoded value / scale: a smaller scale turns a decoded value of `largest` into
    infinity.
    """
    scales = np.asarray(scale, np.float64)
    wrong = ~(np.isfinite(scales) & (scales > 0))
    if wrong.any():
        raise ValueError(f"{what}: expected finite numbers above 0, got {first(scales, wrong)}")
    least = largest / FLOAT_MAX
    if (wrong := scales < least).any():
        raise ValueError(f"{what}: expected {least:.1e} or more, got {first(scales, wrong)}")
