"""Fake quantizers as PyTorch modules: of weights, and of the activations at a site."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from golden.bert.calibration import fitted
from golden.numeric.quantize import scale_for
from golden.spec.formats import Format, Piecewise
from train.fake import fake_quantize

__all__ = ["MOMENTUM", "ActivationQuantizer", "WeightQuantizer", "parameters_of_scales"]

MOMENTUM = 0.01
"""Weight of a batch's max|x| in the moving average."""


class WeightQuantizer(nn.Module):
    """Parametrization of a weight by the values of its codes in `format` at `scale`.

    `fit` chooses the scale and the ratio of a piece-wise format. Between two fits both are
    constant, so that a training step changes the weights but not the levels to which they round.
    """

    scale: Tensor

    def __init__(self, fmt: Format, *, clip: bool = True) -> None:
        super().__init__()
        self.format = fmt
        self._clip = clip
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))

    def fit(self, weight: Tensor, most: float = math.inf) -> None:
        """Choose scale and format of a weight [out, in] as golden's calibration does.

        `most` is the largest scale.
        """
        self.format, scale = fitted(weight.numpy(force=True), self.format, self._clip, most)
        self.scale.fill_(scale)

    def forward(self, weight: Tensor) -> Tensor:
        return fake_quantize(weight, self.format, self.scale)

    def get_extra_state(self) -> dict[str, int]:
        """State besides the scale: the ratio and offset that `fit` chose."""
        fmt = self.format
        return {"ratio": fmt.ratio, "offset": fmt.offset} if isinstance(fmt, Piecewise) else {}

    def set_extra_state(self, state: Mapping[str, int]) -> None:
        """Restore the state of `get_extra_state`."""
        if isinstance(self.format, Piecewise):
            self.format = Piecewise(**state, bits=self.format.bits)


class ActivationQuantizer(nn.Module):
    """Fake quantizer of activations in `format` at `scale`.

    By default the scale follows an exponential moving average of max|x| in training mode, as in
    Q8BERT, and is frozen in evaluation mode. A `learned` scale is a trained parameter instead,
    because with few codes the largest value is a poor clipping point. Its logarithm is trained, so
    that steps are relative.
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
        """Scale, float64 []: real value = decoded value / scale."""
        return self.start if self.growth is None else self.start * self.growth.exp()

    def forward(self, x: Tensor) -> Tensor:
        if self.training and self.growth is None:
            self._follow(float(x.detach().abs().max()))
        return fake_quantize(x, self.format, self.scale)

    def _follow(self, largest: float) -> None:
        if not math.isfinite(largest):
            return  # The loss is not finite either and stops training.
        clip = self.format.max_value / self.start.item()
        self.start.fill_(scale_for(clip + MOMENTUM * (largest - clip), self.format))


def parameters_of_scales(module: nn.Module) -> list[nn.Parameter]:
    """Parameters of the learned scales in a module."""
    found = (each.growth for each in module.modules() if isinstance(each, ActivationQuantizer))
    return [growth for growth in found if growth is not None]
