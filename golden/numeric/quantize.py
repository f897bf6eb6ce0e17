"""Quantizers: rounding of real numbers to codes, scales and clipping points.

Real value = decoded value / scale. The scale is S for linear and log2 codes, and S1, the scale of
region 1, for piece-wise codes. Formulas: docs/reference/formats.md; linear quantization: Q8BERT
(arXiv:1910.06188).
"""

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from golden.numeric.codec import all_codes, code_range, decode, decode_code, first
from golden.spec.formats import Format, Linear, Log2, Piecewise

__all__ = [
    "RATIOS",
    "Levels",
    "Rounding",
    "clip_scale",
    "dequantize",
    "levels",
    "max_scale",
    "quantize",
    "quantize_value",
    "scale_for",
    "search_piecewise",
]

Rounding = Literal["nearest", "log"]
"""Rounding rule.

`nearest`: the code whose value is nearest. `log` (log2 formats only): e - 1 = rint(log2|v|), and
code 0 where that is negative.
"""

RATIOS = tuple(range(1, 64))
"""Ratios that `search_piecewise` tries."""

# The largest float64 below sqrt(1/2). Since sqrt(1/2) is irrational, a float64 exceeds it if and
# only if it exceeds this number.
_SQRT_HALF = math.isqrt(1 << 105) / (1 << 53)


def quantize_value(v: float | Fraction, fmt: Format, rounding: Rounding = "nearest") -> int:
    """Code of one scaled value v = x * scale, by exhaustive search with rationals: the definition.

    The code of nearest value; values beyond the range saturate. Ties: linear formats take the even
    code. Log2 and piece-wise formats take the smaller magnitude and, of codes with equal value, the
    smaller |code|. Raises ValueError for a rounding that the format does not support.
    """
    _check_rounding(fmt, rounding)
    if isinstance(fmt, Log2) and rounding == "log":
        return _log_code(Fraction(v), fmt)
    numerator, denominator = Fraction(v).as_integer_ratio()

    def rank(code: int) -> tuple[int, int, int]:
        value = decode_code(code, fmt)
        distance = abs(numerator - value * denominator)
        return (
            (distance, code % 2, 0)
            if isinstance(fmt, Linear)
            else (distance, abs(value), abs(code))
        )

    low, high = code_range(fmt)
    return min(range(low, high + 1), key=rank)


def quantize(
    x: NDArray[np.floating],
    fmt: Format,
    scale: float | NDArray[np.floating],
    *,
    rounding: Rounding = "nearest",
) -> NDArray[np.integer]:
    """Codes of `x`, of the same shape, in `fmt.dtype`: `quantize_value` of each float64 x * scale.

    `scale` is one number or an array that broadcasts to x's shape ([N] for one scale per column of
    x [M, N]). Raises ValueError for values or scales that are not finite, scales not above 0, and a
    rounding that the format does not support.
    """
    _check_rounding(fmt, rounding)
    values = _finite(x, "x")
    scales = _scales(scale, values.shape)
    with np.errstate(over="ignore"):  # an infinite product saturates like any large one
        scaled = values * scales
    if isinstance(fmt, Linear):
        return np.clip(np.rint(scaled), -fmt.max_value, fmt.max_value).astype(fmt.dtype)
    grid = levels(fmt, rounding)
    index = np.searchsorted(grid.bounds, np.abs(scaled), side="left")
    return np.where(scaled < 0, grid.negative[index], grid.positive[index])


def dequantize(
    codes: NDArray[np.integer], fmt: Format, scale: float | NDArray[np.floating]
) -> NDArray[np.float64]:
    """Real values of `codes`, float64 of the same shape: decoded value / scale.

    Raises ValueError for illegal codes or scales.
    """
    values: NDArray[np.float64] = decode(codes, fmt) / _scales(scale, codes.shape)
    return values


def scale_for(clip: float, fmt: Format) -> float:
    """Scale that maps the clipping point `clip` > 0 to the largest value of `fmt`.

    The scale is limited to the largest float64, which matters only for clip < 1e-298. Raises
    ValueError for a clip that is not finite or not above 0.
    """
    if not (clip > 0 and math.isfinite(clip)):
        raise ValueError(f"clip: expected a finite number above 0, got {clip!r}")
    return min(fmt.max_value / clip, sys.float_info.max)


def max_scale(w: NDArray[np.floating], fmt: Format) -> float:
    """Scale whose clipping point is max|w|, so that nothing is clipped; 1.0 if all values are 0.

    Raises ValueError for values that are not finite.
    """
    largest = _largest(_finite(w, "w"))
    return scale_for(largest, fmt) if largest else 1.0


def clip_scale(
    w: NDArray[np.floating], fmt: Format, candidates: int = 100, *, rounding: Rounding = "nearest"
) -> float:
    """Scale of the clipping point with the least mean squared error of quantizing `w` (any shape).

    Candidate clipping points are `candidates` (at least 1) evenly spaced points in (0, max|w|];
    ties go to the larger. The scale is 1.0 if all values are 0. `w` may also be a sample of
    activations. Raises ValueError for values that are not finite, for candidates below 1, and for a
    rounding that the format does not support.
    """
    _check_rounding(fmt, rounding)
    tensor = _Tensor(_finite(w, "w"), candidates)
    if tensor.largest == 0:
        return 1.0
    _, fraction = tensor.best(levels(fmt, rounding))
    return scale_for(tensor.clip(fraction), fmt)


def search_piecewise(
    w: NDArray[np.floating], candidates: int = 100, ratios: Sequence[int] = RATIOS, bits: int = 8
) -> tuple[Piecewise, float]:
    """Piece-wise format and scale S1 with the least mean squared error of quantizing `w`.

    Ratio and clipping point are searched together. `candidates` as in `clip_scale`; each of
    `ratios` (1..63) takes its default offset. Ties go to the larger clipping point, then to the
    smaller ratio. If all values are 0, the result is the smallest ratio and scale 1.0. Raises
    ValueError as `clip_scale` does, and for empty `ratios`.
    """
    if not ratios:
        raise ValueError("ratios: expected at least 1, got 0")
    tensor = _Tensor(_finite(w, "w"), candidates)
    formats = [Piecewise(ratio, bits=bits) for ratio in sorted(ratios)]
    if tensor.largest == 0:
        return formats[0], 1.0
    results = [(fmt, *tensor.best(levels(fmt, "nearest"))) for fmt in formats]
    best, _, fraction = min(results, key=lambda result: (result[1], -result[2]))
    return best, scale_for(tensor.clip(fraction), best)


@dataclass(frozen=True)
class Levels:
    """Ascending magnitudes [L] that a format represents, and the code of each by sign.

    `bounds` [L - 1]: the largest float64 magnitude that rounds to the level below. Linear formats
    round ties to the even code instead; they use `bounds` only in the search for a clipping point,
    where both sides of a tie have the same error.
    """

    values: NDArray[np.int64]
    positive: NDArray[np.integer]
    negative: NDArray[np.integer]
    bounds: NDArray[np.float64]


@lru_cache(maxsize=256)
def levels(fmt: Format, rounding: Rounding = "nearest") -> Levels:
    """Cached levels of a format.

    Raises ValueError for a rounding that the format does not support.
    """
    _check_rounding(fmt, rounding)
    codes: dict[int, int] = {}
    for code in sorted(all_codes(fmt).tolist(), key=abs):
        codes.setdefault(decode_code(code, fmt), code)
    magnitudes = sorted(value for value in codes if value >= 0)
    values = np.array(magnitudes, dtype=np.int64)
    # Midpoints of integers below 2^32 are exact in float64, so ties are exact.
    reals = values.astype(np.float64)
    bounds = reals[1:] * _SQRT_HALF if rounding == "log" else (reals[:-1] + reals[1:]) / 2
    return Levels(
        values=values,
        positive=np.array([codes[value] for value in magnitudes], dtype=fmt.dtype),
        negative=np.array([codes[-value] for value in magnitudes], dtype=fmt.dtype),
        bounds=bounds,
    )


class _Tensor:
    """Sorted magnitudes of a tensor with prefix sums, which give squared errors by binary search.

    Magnitudes a between two bounds round to one level u, and sum((a - u)^2) = sum(a^2) - 2 u sum(a)
    + u^2 n needs only their number n and their sum. All magnitudes are divided by the largest, so
    nothing overflows.
    """

    def __init__(self, values: NDArray[np.float64], candidates: int) -> None:
        if candidates < 1:
            raise ValueError(f"candidates: expected at least 1, got {candidates!r}")
        self.largest = _largest(values)
        self._sorted = np.sort(np.abs(values), axis=None) / (self.largest or 1.0)
        self._sums = np.concatenate(([0.0], np.cumsum(self._sorted)))
        self._squares = float(np.dot(self._sorted, self._sorted))
        self._clips = np.arange(1, candidates + 1) / candidates

    def clip(self, fraction: float) -> float:
        """Clipping point of a candidate; at least the smallest positive float64."""
        return max(self.largest * fraction, math.ulp(0.0))

    def best(self, grid: Levels) -> tuple[float, float]:
        """Sum of squared errors and clipping point of the best candidate.

        Both are in units of the largest magnitude.
        """
        top = float(grid.values[-1])
        edges = np.searchsorted(
            self._sorted, np.outer(self._clips / top, grid.bounds), side="right"
        )
        edges = np.pad(edges, ((0, 0), (1, 1)), constant_values=((0, 0), (0, self._sorted.size)))
        counts, sums = np.diff(edges), np.diff(self._sums[edges])
        unit = grid.values / top
        errors = (
            self._squares - 2 * self._clips * (sums @ unit) + self._clips**2 * (counts @ unit**2)
        )
        index = len(errors) - 1 - int(np.argmin(errors[::-1]))
        return float(errors[index]), float(self._clips[index])


def _log_code(v: Fraction, fmt: Log2) -> int:
    """Code by the rule rint(log2|v|) = k if and only if 2^(2k-1) < v^2 < 2^(2k+1), in rationals.

    The bounds are irrational, so a rational v never meets one.
    """
    fits = [k for k in range(fmt.max_exponent + 1) if v * v > Fraction(2) ** (2 * k - 1)]
    if not fits:
        return 0
    return (max(fits) + 1) | (int(v < 0) << fmt.exponent_bits)


def _check_rounding(fmt: Format, rounding: Rounding) -> None:
    known = ("nearest", "log") if isinstance(fmt, Log2) else ("nearest",)
    if rounding not in known:
        raise ValueError(f"rounding: expected {' or '.join(known)} for {fmt}, got {rounding!r}")


def _finite(x: NDArray[np.floating], name: str) -> NDArray[np.float64]:
    values = np.asarray(x, dtype=np.float64)
    wrong = ~np.isfinite(values)
    if wrong.any():
        raise ValueError(f"{name}: expected finite values, got {first(values, wrong)}")
    return values


def _scales(scale: float | NDArray[np.floating], shape: tuple[int, ...]) -> NDArray[np.float64]:
    scales = np.asarray(scale, dtype=np.float64)
    wrong = ~(np.isfinite(scales) & (scales > 0))
    if wrong.any():
        raise ValueError(f"scale: expected finite numbers above 0, got {first(scales, wrong)}")
    try:
        return np.broadcast_to(scales, shape)
    except ValueError:
        what = f"one number or a shape that broadcasts to {shape}"
        raise ValueError(f"scale: expected {what}, got shape {scales.shape}") from None


def _largest(values: NDArray[np.float64]) -> float:
    return float(np.max(np.abs(values), initial=0.0))
