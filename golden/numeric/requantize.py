"""Requantization: sums become codes by bias, multiplication, rounding shift and clamp.

Rounding follows TOSA's apply_scale_16 with single rounding: half of the last place is added before
an arithmetic shift, so ties round up. Formulas: docs/reference/formats.md.
"""

import math

import numpy as np
from numpy.typing import NDArray

from golden.numeric.codec import first

__all__ = [
    "ACC_MAX",
    "BIAS_MAX",
    "BIAS_MIN",
    "FACTOR_MAX",
    "FACTOR_MIN",
    "MULT_MAX",
    "SHIFT_MAX",
    "SHIFT_MIN",
    "column",
    "encode_factor",
    "encode_factors",
    "requantize",
    "requantize_value",
]

MULT_MAX = (1 << 15) - 1
SHIFT_MIN, SHIFT_MAX = 1, 47
BIAS_MIN, BIAS_MAX = -(1 << 31), (1 << 31) - 1
FACTOR_MIN, FACTOR_MAX = 2.0**-33, 16383.5
"""Range of real factors that `encode_factor` expresses."""
ACC_MAX = 1 << 46
"""Largest |acc| that `requantize` accepts: above every mode's sums, and no step exceeds 64 bits."""


def requantize_value(acc: int, bias: int, mult: int, shift: int, bits: int = 8) -> int:
    """clamp(((acc + bias) * mult + 2^(shift-1)) >> shift, -M, M): the definition.

    M = 2^(bits-1) - 1 is the largest code.
    """
    largest = (1 << (bits - 1)) - 1
    rounded = ((acc + bias) * mult + (1 << (shift - 1))) >> shift
    return max(-largest, min(largest, rounded))


def requantize(
    acc: NDArray[np.integer],
    bias: NDArray[np.integer] | None,
    mult: NDArray[np.integer],
    shift: NDArray[np.integer],
    bits: int = 8,
) -> NDArray[np.int8]:
    """Codes, int8 [M, N], of sums `acc` [M, N], |acc| <= 2^46; each equals `requantize_value`.

    Parameters per column [N]: `bias` (signed 32-bit, None for zeros), `mult` (0..2^15-1) and
    `shift` (1..47). `bits` is 8 or 4. Raises ValueError for any other input.
    """
    if bits not in (4, 8):
        raise ValueError(f"bits: expected 8 or 4, got {bits!r}")
    if acc.ndim != 2:
        raise ValueError(f"acc: expected a matrix [M, N], got shape {acc.shape}")
    columns = acc.shape[1]
    _check_integers(acc, -ACC_MAX, ACC_MAX, "acc")
    total = acc.astype(np.int64)
    if bias is not None:
        total += column(bias, columns, BIAS_MIN, BIAS_MAX, "bias")
    factor = column(mult, columns, 0, MULT_MAX, "mult")
    shifts = column(shift, columns, SHIFT_MIN, SHIFT_MAX, "shift")
    # No overflow: |total * factor| < (2^46 + 2^31) * 2^15 and the added half is at most 2^46, so
    # the sum is below 2^63.
    rounded = (total * factor + (np.int64(1) << (shifts - 1))) >> shifts
    largest = (1 << (bits - 1)) - 1
    codes: NDArray[np.int8] = np.clip(rounded, -largest, largest).astype(np.int8)
    return codes


def encode_factor(f: float) -> tuple[int, int]:
    """(mult, shift) of a real factor f > 0: f ~ mult / 2^shift with relative error at most 2^-15.

    shift puts f * 2^shift in [2^14, 2^15), and mult = rint(f * 2^shift), half to even. If mult
    rounds up to 2^15, it becomes 2^14 and shift decreases by 1. Raises ValueError if shift leaves
    1..47: for factors below 2^-33 or above 16383.5, after rounding.
    """
    if f > 0 and math.isfinite(f):
        fraction, exponent = math.frexp(f)
        mult, shift = round(fraction * (1 << 15)), 15 - exponent
        if mult == 1 << 15:
            mult, shift = 1 << 14, shift - 1
        if SHIFT_MIN <= shift <= SHIFT_MAX:
            return mult, shift
    raise ValueError(f"factor: expected 2^-33..16383.5, got {f!r}")


def encode_factors(factors: NDArray[np.floating]) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """`encode_factor` of every element: (mult, shift), int32 of the same shape.

    Raises ValueError as `encode_factor` does.
    """
    values = np.asarray(factors, dtype=np.float64)
    usable = np.isfinite(values) & (values > 0)
    fraction, exponent = np.frexp(np.where(usable, values, 1.0))
    mult = np.rint(fraction * (1 << 15)).astype(np.int32)
    carried = mult == 1 << 15
    shift = 15 - exponent.astype(np.int32) - carried
    wrong = ~usable | (shift < SHIFT_MIN) | (shift > SHIFT_MAX)
    if wrong.any():
        raise ValueError(f"factors: expected 2^-33..16383.5, got {first(values, wrong)}")
    return np.where(carried, 1 << 14, mult).astype(np.int32), shift.astype(np.int32)


def column(
    values: NDArray[np.integer], count: int, low: int, high: int, name: str
) -> NDArray[np.int64]:
    """Per-column parameters as int64 [count].

    Raises ValueError naming `name` unless `values` holds `count` integers in low..high.
    """
    if values.shape != (count,):
        raise ValueError(
            f"{name}: expected {count} values, one per column, got shape {values.shape}"
        )
    _check_integers(values, low, high, name)
    return values.astype(np.int64)


def _check_integers(values: NDArray[np.integer], low: int, high: int, name: str) -> None:
    if not np.issubdtype(values.dtype, np.integer):
        raise ValueError(f"{name}: expected integers, got {values.dtype}")
    wrong = (values < low) | (values > high)
    if wrong.any():
        raise ValueError(f"{name}: expected {low}..{high}, got {first(values, wrong)}")
