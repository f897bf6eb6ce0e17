"""Scales and clipping points against a plain loop over all candidates."""

import math

import numpy as np
import pytest

from golden.numeric.quantize import (
    Rounding,
    clip_scale,
    dequantize,
    max_scale,
    quantize,
    scale_for,
    search_piecewise,
)
from golden.spec.formats import Format, Linear, Log2, Piecewise
from tests.support.formats import FORMATS, RULES, rule_id

SEED = 20240229


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_scales(fmt: Format) -> None:
    assert scale_for(0.5, fmt) == fmt.max_value * 2
    w = np.array([[0.25, -0.5], [0.0, 0.125]])
    assert max_scale(w, fmt) == fmt.max_value * 2
    for empty in (np.zeros((2, 3)), np.zeros((0, 3))):
        assert max_scale(empty, fmt) == 1.0
        assert clip_scale(empty, fmt) == 1.0
    assert search_piecewise(np.zeros(4), ratios=(9, 5)) == (Piecewise(5), 1.0)


def plain_errors(
    w: np.ndarray, fmt: Format, candidates: int, rounding: Rounding
) -> list[tuple[float, float]]:
    """(mean squared error, scale) of each clipping point, by quantizing at every one."""
    results = []
    for i in range(1, candidates + 1):
        scale = fmt.max_value / (float(np.max(np.abs(w))) * (i / candidates))
        restored = dequantize(quantize(w, fmt, scale, rounding=rounding), fmt, scale)
        results.append((float(np.mean((w - restored) ** 2)), scale))
    return results


def plain_clip_scale(w: np.ndarray, fmt: Format, candidates: int, rounding: Rounding) -> float:
    best, chosen = math.inf, 0.0
    for error, scale in plain_errors(w, fmt, candidates, rounding):
        if error <= best:
            best, chosen = error, scale
    return chosen


@pytest.mark.parametrize(("fmt", "rounding"), RULES, ids=rule_id)
def test_clip_scale_equals_the_plain_loop(fmt: Format, rounding: Rounding) -> None:
    rng = np.random.default_rng(SEED)
    print("seed", SEED)
    tensors: list[np.ndarray] = [
        rng.standard_normal((40, 50)),
        rng.laplace(size=2000) * 1e-3,
        rng.standard_t(2, size=(10, 10, 20)).astype(np.float32),
        rng.uniform(0, 1e6, 7),
    ]
    for w in tensors:
        for candidates in (1, 7, 100):
            expected = plain_clip_scale(w, fmt, candidates, rounding)
            assert clip_scale(w, fmt, candidates, rounding=rounding) == expected


def test_clipping_ties_go_to_the_larger() -> None:
    """At clip 1/2 the 1 is off by 1/2, at clip 1 the 1/2 is: both errors are equal."""
    w = np.array([1.0, 0.5])
    (low, _), (high, _) = plain_errors(w, Linear(2), 2, "nearest")
    assert low == high
    assert clip_scale(w, Linear(2), 2) == 1.0
    assert clip_scale(np.array([1.0, 0.5, 0.5]), Linear(2), 2) == 2.0


def test_clipping_survives_extreme_magnitudes() -> None:
    w = np.random.default_rng(SEED).standard_normal(500)
    for fmt in (Linear(4), Log2(4)):
        for power in (2.0**900, 2.0**-900):
            assert clip_scale(w * power, fmt) == clip_scale(w, fmt) / power


def test_search_piecewise_equals_trying_every_ratio() -> None:
    rng = np.random.default_rng(SEED)
    print("seed", SEED)
    for w in (rng.standard_normal(800), rng.laplace(size=800), rng.standard_t(2, size=800)):
        for bits, ratios in ((8, (9, 2, 5, 3, 20)), (5, (1, 2, 3, 4))):
            tried = [
                (error, fmt, scale)
                for fmt in (Piecewise(r, bits=bits) for r in ratios)
                for error, scale in plain_errors(w, fmt, 20, "nearest")
            ]
            _, fmt, scale = min(tried, key=lambda trial: trial[0])
            assert search_piecewise(w, 20, ratios, bits) == (fmt, scale)


def test_search_piecewise_prefers_larger_ratios_for_longer_tails() -> None:
    rng = np.random.default_rng(SEED)
    near, _ = search_piecewise(rng.uniform(-1, 1, 4000))
    far, _ = search_piecewise(rng.standard_t(3, 4000))
    assert near.ratio < far.ratio
