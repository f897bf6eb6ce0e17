"""Quantizers: rounding against an exhaustive search with rationals."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.numeric.codec import all_codes, decode, decode_code
from golden.numeric.quantize import (
    Rounding,
    clip_scale,
    dequantize,
    max_scale,
    quantize,
    quantize_value,
    scale_for,
    search_piecewise,
)
from golden.spec.formats import Format, Linear, Log2, Piecewise
from tests.support.errors import raises
from tests.support.formats import FORMATS, RULES, rule_id

SEED = 20240229


def corners(fmt: Format, rounding: Rounding) -> list[float]:
    """Bounds between levels with neighbouring floats, all levels, and values beyond the last."""
    levels = sorted({abs(decode_code(code, fmt)) for code in all_codes(fmt).tolist()})
    if rounding == "log":
        bounds = [math.sqrt(0.5) * level for level in levels[1:]]
    else:
        bounds = [(low + high) / 2 for low, high in pairwise(levels)]
    around = [math.nextafter(b, end) for b in bounds for end in (0.0, math.inf)]
    top = float(levels[-1])
    return [
        *bounds,
        *around,
        *map(float, levels),
        5e-324,
        math.nextafter(top, math.inf),
        2 * top,
        1e300,
    ]


@pytest.mark.parametrize(
    ("fmt", "rounding", "value", "code"),
    [
        # rint: half to even; symmetric saturation
        (Linear(8), "nearest", 0.5, 0),
        (Linear(8), "nearest", 1.5, 2),
        (Linear(8), "nearest", 2.5, 2),
        (Linear(8), "nearest", -2.5, -2),
        (Linear(8), "nearest", -3.5, -4),
        (Linear(8), "nearest", 126.5, 126),
        (Linear(8), "nearest", -1000.0, -127),
        (Linear(4), "nearest", 6.5, 6),
        (Linear(4), "nearest", -8.0, -7),
        # ties to the smaller magnitude, zero among the values
        (Log2(4), "nearest", 0.5, 0),
        (Log2(4), "nearest", -0.5, 0),
        (Log2(4), "nearest", 0.6, 1),
        (Log2(4), "nearest", 1.5, 1),
        (Log2(4), "nearest", 3.0, 2),
        (Log2(4), "nearest", -3.0, 18),
        (Log2(4), "nearest", 3.01, 3),
        (Log2(4), "nearest", 12288.0, 14),
        (Log2(4), "nearest", 1e9, 15),
        (Log2(4), "nearest", -1e9, 31),
        (Log2(3), "nearest", -100.0, 15),
        # log2(0.7) = -0.51, log2(0.71) = -0.49, log2(1.41) = 0.496, log2(1.42) = 0.506
        (Log2(4), "log", 0.0, 0),
        (Log2(4), "log", 0.7, 0),
        (Log2(4), "log", 0.71, 1),
        (Log2(4), "log", 1.41, 1),
        (Log2(4), "log", 1.42, 2),
        (Log2(4), "log", -2.9, 19),
        (Log2(4), "nearest", -2.9, 18),
        (Log2(5), "log", 1e12, 31),
        # one value, two codes: the smaller |code|
        (Piecewise(9, 7), "nearest", 63.0, 63),
        (Piecewise(9, 7), "nearest", -63.0, -63),
        (Piecewise(9, 7), "nearest", 67.5, 63),
        (Piecewise(9, 7), "nearest", 67.6, 65),
        (Piecewise(9, 7), "nearest", -76.5, -65),
        (Piecewise(9, 7), "nearest", 62.5, 62),
        (Piecewise(9, 7), "nearest", -1e4, -127),
        (Piecewise(5, 13), "nearest", 64.0, 63),
        (Piecewise(1, 0), "nearest", 10.0, 10),
        (Piecewise(63, 0), "nearest", -0.25, 0),
        (Piecewise(63, 63), "nearest", 2016.0, 63),
        (Piecewise(63, 63), "nearest", 2016.5, 64),
    ],
)
def test_documented_rules(fmt: Format, rounding: Rounding, value: float, code: int) -> None:
    assert quantize_value(value, fmt, rounding) == code
    assert quantize(np.array([value]), fmt, 1.0, rounding=rounding).tolist() == [code]


@pytest.mark.parametrize(("fmt", "rounding"), RULES, ids=rule_id)
def test_fast_path_equals_the_definition(fmt: Format, rounding: Rounding) -> None:
    rng = np.random.default_rng(SEED)
    print("seed", SEED)
    magnitudes = np.concatenate(
        (
            corners(fmt, rounding),
            rng.uniform(0, 1.1 * fmt.max_value, 30),
            fmt.max_value * 2.0 ** -rng.uniform(0, 35, 30),
        )
    )
    values = np.concatenate((magnitudes, -magnitudes, [0.0, -0.0]))
    codes = quantize(values, fmt, 1.0, rounding=rounding)
    assert codes.dtype == fmt.dtype
    assert codes.tolist() == [quantize_value(value, fmt, rounding) for value in values.tolist()]


@settings(deadline=None)
@given(st.fractions(0, 2**14), st.sampled_from([Log2(3), Log2(4), Log2(5)]))
def test_log_rounding_is_rint_of_the_logarithm(value: Fraction, fmt: Log2) -> None:
    if value == 0:
        return
    logarithm = math.log2(value)
    if abs(logarithm - math.floor(logarithm) - 0.5) < 1e-9:
        return  # the float logarithm cannot decide near a tie
    exponent = min(int(np.rint(logarithm)), fmt.max_exponent)
    assert quantize_value(value, fmt, "log") == (exponent + 1 if exponent >= 0 else 0)


@settings(deadline=None)
@given(st.fractions(-700, 700), st.sampled_from(RULES))
def test_no_code_is_nearer(value: Fraction, rule: tuple[Format, Rounding]) -> None:
    fmt, rounding = rule
    if rounding == "nearest":
        chosen = decode_code(quantize_value(value, fmt), fmt)
        assert all(
            abs(value - chosen) <= abs(value - decode_code(code, fmt))
            for code in all_codes(fmt).tolist()
        )


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_values_of_codes_come_back(fmt: Format) -> None:
    codes = all_codes(fmt)
    for scale in (1.0, 0.37, 1234.5, 2.0**-40):
        again = quantize(dequantize(codes, fmt, scale), fmt, scale)
        assert decode(again, fmt).tolist() == decode(codes, fmt).tolist()


def test_negative_zero_is_never_produced() -> None:
    tiny = np.array([-0.0, -1e-9, -0.5])
    assert quantize(tiny, Log2(4), 1.0).tolist() == [0, 0, 0]
    assert quantize(tiny, Log2(4), 1.0, rounding="log").tolist() == [0, 0, 0]


def test_float32_and_any_shape() -> None:
    x = np.array([[0.1, -0.2], [0.3, 10.0]], dtype=np.float32)
    assert quantize(x, Linear(8), 10.0).tolist() == [[1, -2], [3, 100]]
    assert quantize(x[:0], Log2(4), 10.0).shape == (0, 2)
    assert quantize(np.array([1e300, -1e300]), Piecewise(9), 1e300).tolist() == [127, -127]


def test_scale_per_column() -> None:
    x = np.array([[1.0, 1.0, -1.0], [2.0, 2.0, -2.0]])
    scale = np.array([1.0, 10.0, 100.0])
    codes = quantize(x, Linear(8), scale)
    assert codes.tolist() == [[1, 10, -100], [2, 20, -127]]
    assert dequantize(codes, Linear(8), scale).tolist() == [[1.0, 1.0, -1.0], [2.0, 2.0, -1.27]]


def test_rejects() -> None:
    x = np.zeros((4, 6))
    x[3, 5] = math.nan
    for fmt in FORMATS:
        with raises("x: expected finite values, got nan at [3, 5]"):
            quantize(x, fmt, 1.0)
    x[3, 5] = -math.inf
    with raises("w: expected finite values, got -inf at [3, 5]"):
        clip_scale(x, Linear(8))
    with raises("w: expected finite values, got -inf at [3, 5]"):
        max_scale(x, Linear(8))
    with raises("w: expected finite values, got -inf at [3, 5]"):
        search_piecewise(x)
    good = np.ones((2, 3))
    for scale in (0.0, -1.0, math.inf):
        with raises(f"scale: expected finite numbers above 0, got {scale}"):
            quantize(good, Linear(8), scale)
    with raises("scale: expected finite numbers above 0, got nan at [1]"):
        dequantize(np.ones((2, 2), np.int8), Linear(8), np.array([1.0, math.nan]))
    for shape in ((2,), (4, 2, 3)):
        with raises(
            f"scale: expected one number or a shape that broadcasts to (2, 3), got shape {shape}"
        ):
            quantize(good, Linear(8), np.ones(shape))
    with raises("rounding: expected nearest for linear-8, got 'log'"):
        quantize(good, Linear(8), 1.0, rounding="log")
    with raises("rounding: expected nearest or log for log2-4, got 'up'"):
        clip_scale(good, Log2(4), rounding="up")  # type: ignore[arg-type]
    with raises("rounding: expected nearest for piecewise-8(r=9,t=7), got 'log'"):
        quantize_value(1.0, Piecewise(), "log")
    with raises("candidates: expected at least 1, got 0"):
        clip_scale(good, Linear(8), 0)
    with raises("ratios: expected at least 1, got 0"):
        search_piecewise(good, ratios=())
    for clip in (0.0, -1.0, math.nan, math.inf):
        with raises(f"clip: expected a finite number above 0, got {clip!r}"):
            scale_for(clip, Linear(8))
