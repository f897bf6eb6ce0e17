"""Fake quantization: real numbers become the values of golden's codes, with a gradient.

The forward pass is golden's rounding, in float64. The backward pass is the straight-through
estimator (Q8BERT, arXiv:1910.06188): the gradient of the identity inside the clipping range and 0
outside. A learned scale gets the gradient of "Learned Step Size Quantization" (Esser et al.,
arXiv:1902.08153, section 2.1).
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from golden.numeric.quantize import Rounding, levels
from golden.spec.formats import Format, Linear

__all__ = ["BLOCK", "fake_quantize"]

BLOCK = 1 << 15
"""Elements rounded at a time: a float64 block fits a core's cache, six times as fast as a layer."""


def fake_quantize(x: Tensor, fmt: Format, scale: Tensor, rounding: Rounding = "nearest") -> Tensor:
    """Values of the codes of `x` in `fmt` at a float64 `scale` [], of x's shape and type.

    Real value = decoded value / scale. The result equals golden's quantize and dequantize, except
    that NaN stays NaN. Raises ValueError for a rounding that the format does not support.
    """
    result: Tensor = _FakeQuantize.apply(x, scale, fmt, rounding)  # type: ignore[no-untyped-call]
    return result


class _FakeQuantize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, fmt: Format, rounding: Rounding) -> Tensor:
        result = torch.empty_like(x, memory_format=torch.contiguous_format)
        inside = torch.empty(x.shape, dtype=torch.bool, device=x.device)
        # The step is 1 / scale: d(step * value) / d(step) = value - scaled inside, value beyond.
        of_step = torch.empty_like(result) if ctx.needs_input_grad[1] else None
        exact = scale.double()
        parts = [result.view(-1), inside.view(-1), x.reshape(-1)]
        size = BLOCK if x.device.type == "cpu" else max(1, x.numel())
        for start in range(0, x.numel(), size):
            into, within, block = (part[start : start + size] for part in parts)
            scaled = block.double() * exact
            value = _nearest(scaled, fmt, rounding)
            torch.le(scaled.abs(), fmt.max_value, out=within)
            if of_step is not None:
                of_step.view(-1)[start : start + size] = torch.where(within, value - scaled, value)
            into.copy_(value.div_(exact))
        ctx.save_for_backward(inside, of_step, scale)
        return result

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None, None]:
        (gradient,) = gradients
        inside, of_step, scale = ctx.saved_tensors
        of_scale = None
        if of_step is not None:
            total = (gradient * of_step).sum(dtype=torch.float64)
            of_scale = (-total / scale.double() ** 2).to(scale.dtype)
        return gradient * inside, of_scale, None, None


def _nearest(scaled: Tensor, fmt: Format, rounding: Rounding) -> Tensor:
    """Value to which each element of float64 `scaled` rounds."""
    search = _search(fmt, rounding, scaled.device)
    if isinstance(fmt, Linear):
        # Ties go to the even code, which a search between bounds cannot express.
        return scaled.round().clamp_(-fmt.max_value, fmt.max_value)
    found = search(scaled.abs())
    return torch.where(scaled.isnan(), scaled, found.copysign_(scaled))


class _Search:
    """Search for the level to which a magnitude rounds, with one comparison.

    A magnitude's exponent and first mantissa bits select a cell with at most one bound between
    levels. A table contains the level at the lower end of each cell. A binary search takes up to
    four times as long.
    """

    _KEPT = 7
    """Mantissa bits of a cell.

    Cells are 32 wide from 4096 on, where bounds of piece-wise codes are 63 apart.
    """

    def __init__(self, values: Tensor, bounds: Tensor) -> None:
        end = torch.tensor([float("inf")], dtype=torch.float64, device=values.device)
        # A magnitude equal to a bound rounds down, so a cell that begins at a bound has the level
        # below it.
        self._values, self._bounds = values, torch.cat([bounds, end])
        self._limits = float(bounds[0]) / 2, 2 * float(bounds[-1])
        cells = self._cells(bounds)
        if bool((cells.diff() == 0).any()):
            raise AssertionError("bounds: expected at most one in each cell")
        self._first = int(self._cells(torch.tensor(self._limits[0], dtype=torch.float64)))
        last = int(self._cells(torch.tensor(self._limits[1], dtype=torch.float64)))
        numbers = torch.arange(self._first, last + 1, device=values.device)
        self._level = torch.bucketize(numbers, cells.contiguous())

    def _cells(self, magnitudes: Tensor) -> Tensor:
        return magnitudes.view(torch.int64) >> (52 - self._KEPT)

    def __call__(self, magnitudes: Tensor) -> Tensor:
        cells = self._cells(magnitudes.nan_to_num(0).clamp_(*self._limits)).sub_(self._first)
        level = self._level[cells]
        return self._values[level.add_(magnitudes > self._bounds[level])]


@lru_cache(maxsize=256)
def _search(fmt: Format, rounding: Rounding, device: torch.device) -> _Search:
    grid = levels(fmt, rounding)
    values, bounds = torch.from_numpy(grid.values.astype("float64")), torch.from_numpy(grid.bounds)
    return _Search(values.to(device), bounds.to(device))
