"""Products of an evaluation against golden's: equal sums, equal codes."""

from fractions import Fraction

import numpy as np
import pytest
import torch

from golden.numeric.codec import all_codes
from golden.numeric.quantize import dequantize
from golden.numeric.requantize import encode_factor, requantize_value
from golden.spec.formats import Format, Linear, Log2, Piecewise
from train import exact

SEED = 20261123
OPERANDS: list[tuple[Format, Format]] = [
    (Linear(8), Linear(8)),
    (Linear(4), Linear(4)),
    (Linear(8), Log2(4)),
    (Log2(4), Log2(4)),
    (Linear(8), Piecewise(17, 2)),
]


def values(
    rng: np.random.Generator, fmt: Format, scale: float, shape: tuple[int, int]
) -> tuple[list[list[int]], object]:
    """Decoded integers, and their float32 values in training."""
    codes = rng.choice(all_codes(fmt), shape)
    real = dequantize(codes, fmt, scale)
    return np.rint(real * scale).astype(np.int64).tolist(), torch.from_numpy(
        real.astype(np.float32)
    )


def scalar(scale: float) -> object:
    return torch.tensor(scale, dtype=torch.float64)


@pytest.mark.parametrize(("x_format", "w_format"), OPERANDS, ids=str)
@pytest.mark.parametrize("result", [Linear(8), Linear(4)], ids=str)
def test_sums_and_codes_are_golden_s(x_format: Format, w_format: Format, result: Format) -> None:
    rng = np.random.default_rng(SEED)
    x_scale, w_scale = x_format.max_value / 3.7, w_format.max_value / 0.31
    x, x_real = values(rng, x_format, x_scale, (6, 50))
    w, w_real = values(rng, w_format, w_scale, (9, 50))
    bias = rng.standard_normal(9).astype(np.float32)
    units = [round(Fraction(float(np.float64(b) * (x_scale * w_scale)))) for b in bias]
    expected = [
        [sum(map(int.__mul__, row, column)) + unit for column, unit in zip(w, units, strict=True)]
        for row in x
    ]

    sums, unit = exact.dense(
        x_real, scalar(x_scale), w_real, scalar(w_scale), torch.from_numpy(bias)
    )
    assert sums.tolist() == expected
    assert unit.item() == 1 / (x_scale * w_scale)

    scale = result.max_value / 8.0
    mult, shift = encode_factor(scale / (x_scale * w_scale))
    codes = [
        [requantize_value(total, 0, mult, shift, result.bits) for total in row] for row in expected
    ]
    got = exact.requantized(sums, unit, result, scalar(scale))
    np.testing.assert_array_equal(got.numpy(), (np.array(codes) / scale).astype(np.float32))
    assert len(set(np.ravel(codes))) > 5


def test_products_without_bias() -> None:
    rng = np.random.default_rng(SEED)
    x, x_real = values(rng, Linear(8), 30.0, (7, 32))
    w, w_real = values(rng, Linear(8), 40.0, (32, 5))
    sums, unit = exact.product(x_real, scalar(30.0), w_real, scalar(40.0))
    np.testing.assert_array_equal(sums.numpy(), np.array(x) @ np.array(w))
    np.testing.assert_array_equal(
        exact.raw(sums, unit).numpy(), (np.array(x) @ np.array(w) * (1 / 1200)).astype(np.float32)
    )
