"""Fake quantization: values against golden's quantizer, and gradients."""

import numpy as np
import pytest
import torch

from golden.bert.weights import read_weights
from golden.numeric.quantize import (
    Rounding,
    clip_scale,
    dequantize,
    levels,
    quantize,
    search_piecewise,
)
from golden.spec.formats import Format, Linear, Log2, Piecewise
from train.fake import fake_quantize

SEED = 20261122
FORMATS: list[tuple[Format, Rounding]] = [
    *((Linear(bits), "nearest") for bits in range(2, 9)),
    *((Log2(bits), rounding) for bits in (3, 4, 5) for rounding in ("nearest", "log")),
    *(
        (Piecewise(ratio, offset), "nearest")
        for ratio, offset in ((1, 0), (9, -1), (63, 63), (17, 2))
    ),
    (Piecewise(bits=6), "nearest"),
]
CASES = pytest.mark.parametrize(("fmt", "rounding"), FORMATS, ids=lambda value: str(value))


def fake(x: np.ndarray, fmt: Format, scale: float, rounding: Rounding) -> np.ndarray:
    result: np.ndarray = fake_quantize(
        torch.from_numpy(x), fmt, torch.tensor(scale, dtype=torch.float64), rounding
    ).numpy()
    return result


def expected(x: np.ndarray, fmt: Format, scale: float, rounding: Rounding) -> np.ndarray:
    return dequantize(quantize(x, fmt, scale, rounding=rounding), fmt, scale).astype(x.dtype)


@CASES
def test_equals_golden_at_every_bound(fmt: Format, rounding: Rounding) -> None:
    """Levels, midpoints between levels, and the floats next to these."""
    grid = levels(fmt, rounding)
    points = np.concatenate(
        [grid.values, grid.bounds, np.arange(fmt.max_value % 1000) + 0.5, [1e300, np.inf]]
    )
    points = np.concatenate([points, np.nextafter(points, 0), np.nextafter(points, np.inf)])
    points = np.concatenate([points, -points])
    np.testing.assert_array_equal(
        fake(points[np.isfinite(points)], fmt, 1.0, rounding),
        expected(points[np.isfinite(points)], fmt, 1.0, rounding),
    )


@CASES
def test_equals_golden_on_random_numbers(fmt: Format, rounding: Rounding) -> None:
    rng = np.random.default_rng(SEED)
    x = rng.standard_normal(100_000).astype(np.float32) * rng.choice([0.01, 1, 30], 100_000).astype(
        np.float32
    )
    scale = fmt.max_value / 2.7
    np.testing.assert_array_equal(fake(x, fmt, scale, rounding), expected(x, fmt, scale, rounding))


@pytest.mark.slow
@pytest.mark.parametrize("fmt", [Linear(8), Linear(4), Log2(3), Log2(4), Piecewise()], ids=str)
def test_equals_golden_on_the_model_s_weights(fmt: Format) -> None:
    for layer in read_weights().layers[::5]:
        for dense in layer.dense.values():
            if isinstance(fmt, Piecewise):
                chosen, scale = search_piecewise(dense.weight, ratios=(3, 9, 20))
            else:
                chosen, scale = fmt, clip_scale(dense.weight, fmt)
            got = fake(dense.weight, chosen, scale, "nearest")
            np.testing.assert_array_equal(got, expected(dense.weight, chosen, scale, "nearest"))


@CASES
def test_gradient_is_straight_through_up_to_the_clipping_point(
    fmt: Format, rounding: Rounding
) -> None:
    clip = 2.0
    x = torch.linspace(-3, 3, 601, dtype=torch.float64, requires_grad=True)
    upstream = torch.arange(1.0, 602.0, dtype=torch.float64)
    fake_quantize(
        x, fmt, torch.tensor(fmt.max_value / clip, dtype=torch.float64), rounding
    ).backward(upstream)
    wide = np.abs(x.detach().numpy()) * (fmt.max_value / clip) <= fmt.max_value
    np.testing.assert_array_equal(x.grad.numpy(), np.where(wide, upstream.numpy(), 0))


@pytest.mark.parametrize("fmt", [Linear(4), Log2(3), Piecewise()], ids=str)
def test_gradient_of_the_scale(fmt: Format) -> None:
    """Beyond the clipping point the value is max / scale, with derivative -max / scale^2."""
    scale = torch.tensor(fmt.max_value / 2.0, dtype=torch.float64, requires_grad=True)
    fake_quantize(torch.tensor([5.0, -7.0, 9.0]).double(), fmt, scale).backward(
        torch.ones(3).double()
    )
    assert scale.grad.item() == pytest.approx(
        -fmt.max_value / (fmt.max_value / 2.0) ** 2, rel=1e-12
    )


def test_gradient_of_the_scale_inside() -> None:
    """0.6 at scale 2 is 1.2 and rounds to 1.

    The derivative with respect to the step is 1 - 1.2, and d step / d scale is -1/4.
    """
    scale = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    fake_quantize(torch.tensor([0.6], dtype=torch.float64), Linear(4), scale).backward(
        torch.ones(1).double()
    )
    assert scale.grad.item() == pytest.approx(0.2 / 4, rel=1e-12)


@CASES
def test_nan_stays(fmt: Format, rounding: Rounding) -> None:
    assert (
        fake_quantize(torch.tensor([float("nan")]), fmt, torch.tensor(1.0), rounding).isnan().all()
    )


def test_refuses_a_rounding_the_format_does_not_know() -> None:
    with pytest.raises(ValueError, match="rounding: expected nearest for linear-8, got 'log'"):
        fake_quantize(torch.zeros(1), Linear(8), torch.tensor(1.0), "log")
