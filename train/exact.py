"""Evaluation of a quantized BERT exactly as golden computes it.

It uses sums of integers, golden's requantizer and golden's float32 functions. Training computes
with real values instead: its float32 products round where golden's sums do not, and it rounds to
codes directly where golden multiplies by a 15-bit factor. In w8a8 0.1% of the codes of Q, K and V
then differ by one. One such code changes a sentence's vector by some hundredths, and so does the
last bit of a norm that decides a code. Products are computed in float64, which represents every sum
exactly.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from golden.bert import functions
from golden.bert.weights import Norm
from golden.numeric.requantize import encode_factors
from golden.spec.formats import Format

__all__ = ["dense", "gelu", "layer_norm", "product", "raw", "requantized", "softmax"]


def dense(
    x: Tensor, x_scale: Tensor, weight: Tensor, w_scale: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """Integer sums of x [..., in], weight [out, in] and bias, and the real value of their unit.

    x and weight are real values of codes.
    """
    per_one = x_scale.double() * w_scale.double()
    return _codes(x, x_scale) @ _codes(weight, w_scale).mT + (
        bias.double() * per_one
    ).round(), 1 / per_one


def product(x: Tensor, x_scale: Tensor, w: Tensor, w_scale: Tensor) -> tuple[Tensor, Tensor]:
    """Integer sums of x [..., M, K] and w [..., K, N], and the real value of their unit.

    x and w are real values of codes.
    """
    return _codes(x, x_scale) @ _codes(w, w_scale), 1 / (x_scale.double() * w_scale.double())


def raw(sums: Tensor, unit: Tensor) -> Tensor:
    """Real values of sums, in float32."""
    return (sums * unit).float()


def requantized(sums: Tensor, unit: Tensor, fmt: Format, scale: Tensor) -> Tensor:
    """Real values, float32, of sums requantized to codes of `fmt` at `scale`.

    The formula is that of golden.numeric.requantize.
    """
    mult, shift = (int(part) for part in encode_factors(np.array((scale.double() * unit).item())))
    largest = 7 if fmt.code_width == 4 else 127
    codes = ((sums * mult + 2.0 ** (shift - 1)) / 2.0**shift).floor().clamp(-largest, largest)
    return (codes / scale.double()).float()


def softmax(x: Tensor) -> Tensor:
    """golden's softmax over the last axis."""
    return _on_host(functions.softmax, x)


def gelu(x: Tensor) -> Tensor:
    """golden's GELU: x / 2 * (1 + erf(x / sqrt(2)))."""
    return _on_host(functions.gelu, x)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """golden's LayerNorm over the last axis."""
    norm = Norm(weight.numpy(force=True), bias.numpy(force=True))
    return _on_host(lambda values: functions.layer_norm(values, norm, eps), x)


def _on_host(function: Callable[[NDArray[np.float32]], NDArray[np.float32]], x: Tensor) -> Tensor:
    """Apply a NumPy function to a tensor."""
    return torch.from_numpy(function(x.numpy(force=True))).to(x.device)


def _codes(values: Tensor, scale: Tensor) -> Tensor:
    """Codes, as float64, of the real values `values`."""
    return torch.round(values.double() * scale.double())
