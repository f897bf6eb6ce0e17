"""Fake quantizers as modules: one for a weight, one for the activations at a site."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from golden.bert.calibration import fitted
from golden.numeric.quantize import scale_for
from golden.spec.formats import Format, Piecewise
from train.fake import fake_quantize

MOMENTUM = 0.01
"""Weight of a batch's max|x| in the moving average of an activation's."""


class WeightQuantizer(nn.Module):
    """A parametrization: a weight as its codes in `format` at `scale` have it.

    `fit` chooses the scale, and a piece-wise format's ratio with it; between fits both stay, so
    that a step of training changes weights and not what they are rounded to.
    """

    scale: Tensor

    def __init__(self, fmt: Format, *, clip: bool = True) -> None:
        super().__init__()
        self.format = fmt
        self._clip = clip
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def fit(self, weight: Tensor, most: float = math.inf) -> None:
        """As golden's calibration chooses, from [out, in]; `most` as there."""
        self.format, scale = fitted(weight.numpy(force=True), self.format, self._clip, most)
        self.scale.fill_(scale)

    def forward(self, weight: Tensor) -> Tensor:
        return fake_quantize(weight, self.format, self.scale)

    def get_extra_state(self) -> dict[str, int]:
        """What `fit` chose beside the scale."""
        fmt = self.format
        return {"ratio": fmt.ratio, "offset": fmt.offset} if isinstance(fmt, Piecewise) else {}

    def set_extra_state(self, state: Mapping[str, int]) -> None:
        """Take over what `get_extra_state` gave."""
        if isinstance(self.format, Piecewise):
            self.format = Piecewise(**state, bits=self.format.bits)


class ActivationQuantizer(nn.Module):
    """Activations as their codes in `format` at `scale` have them.

    Q8BERT's scale follows an exponential moving average of max|x| while the module trains, and is
    frozen when it is evaluated. A `learned` scale is trained instead, by its logarithm, so that a
    step of training changes it in percent: with few codes the largest value is a poor clipping
    point.
    """

    start: Tensor
    growth: nn.Parameter | None

    def __init__(self, fmt: Format, scale: float, *, learned: bool = False) -> None:
        super().__init__()
        self.format = fmt
        self.register_buffer("start", torch.tensor(scale, dtype=torch.float64))
        self.growth = nn.Parameter(torch.zeros((), dtype=torch.float64)) if learned else None

    @property
    def scale(self) -> Tensor:
        """float64 []: real = value / scale."""
        return self.start if self.growth is None else self.start * self.growth.exp()

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.growth is None:
            self._follow(float(x.detach().abs().max()))
        return fake_quantize(x, self.format, self.scale)

    def _follow(self, largest: float) -> None:
        if not math.isfinite(largest):
            return  # The loss says so, and where.
        clip = self.format.max_value / self.start.item()
        self.start.fill_(scale_for(clip + MOMENTUM * (largest - clip), self.format))


def parameters_of_scales(module: nn.Module) -> list[nn.Parameter]:
    """What the learned scales below a module grow by."""
    found = (each.growth for each in module.modules() if isinstance(each, ActivationQuantizer))
    return [growth for growth in found if growth is not None]
