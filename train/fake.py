"""Quantization that a gradient passes: real numbers become the values of golden's codes.

Forward is golden's rounding, element by element and in float64. Backward is straight through (Q8BERT,
arXiv:1910.06188): the gradient of the identity, but none for what lies beyond the clipping point, which no small
step of it would change. A scale that learns gets the gradient of Esser et al., "Learned Step Size Quantization"
(arXiv:1902.08153), section 2.1.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from golden.formats import Format, Linear
from golden.quantize import Rounding, levels


def fake_quantize(x: Tensor, fmt: Format, scale: Tensor, rounding: Rounding = "nearest") -> Tensor:
    """Values of the codes of `x` in `fmt` at a float64 `scale` [] (real = value / scale), of x's shape and type.

    Equal to golden's quantize and dequantize. NaN stays NaN, where golden refuses it. Raises ValueError
    for a rounding that the format does not know.
    """
    result: Tensor = _FakeQuantize.apply(x, scale, fmt, rounding)  # type: ignore[no-untyped-call]
    return result


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, fmt: Format, rounding: Rounding) -> Tensor:
        scaled = x.double() * scale.double()
        value = _nearest(scaled, fmt, rounding)
        ctx.save_for_backward(scaled, value, scale)
        ctx.limit = fmt.max_value
        return (value / scale.double()).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (gradient,) = gradients
        scaled, value, scale = ctx.saved_tensors
        inside = scaled.abs() <= ctx.limit
        of_scale = None
        if ctx.needs_input_grad[1]:
            # The step is 1 / scale: d(step * value) / d(step) = value - scaled inside, value beyond.
            of_step = (gradient * torch.where(inside, value - scaled, value)).sum()
            of_scale = (-of_step / scale.double() ** 2).to(scale.dtype)
        return gradient * inside, of_scale, None, None


def _nearest(scaled: Tensor, fmt: Format, rounding: Rounding) -> Tensor:
    """The value that each element of float64 `scaled` rounds to."""
    values, bounds = _tensors(fmt, rounding)
    if isinstance(fmt, Linear):
        # Ties go to the even code, which a search between bounds would not do.
        return scaled.round().clamp(-fmt.max_value, fmt.max_value)
    found: Tensor = values.to(scaled.device)[torch.bucketize(scaled.abs(), bounds.to(scaled.device))]
    return torch.where(scaled.isnan(), scaled, found.copysign(scaled))


@lru_cache(maxsize=256)
def _tensors(fmt: Format, rounding: Rounding) -> tuple[Tensor, Tensor]:
    """Magnitudes that a format reaches, and the largest that round to the one below: float64."""
    grid = levels(fmt, rounding)
    return torch.from_numpy(grid.values.astype("float64")), torch.from_numpy(grid.bounds)
