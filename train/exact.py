"""A quantized BERT's evaluation as golden computes it: sums of integers, its requantizer, its float32 functions.

Training computes with values, whose float32 products round where golden's sums do not, and rounds
to codes where golden multiplies by a factor of 15 bits: 0.1% of the codes of Q, K and V came out
one off in w8a8. One such code moves a sentence's vector by some hundredths in the end, and so does
the last bit of a norm where it decides on a code. An evaluation is to say what the hardware will
do, so it takes these. Products are in float64, which holds every sum, and that times a factor.
"""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from golden.bert import encoder
from golden.bert.weights import Norm
from golden.numeric.requantize import encode_factors
from golden.spec.formats import Format


def dense(
    x: Tensor, x_scale: Tensor, weight: Tensor, w_scale: Tensor, bias: Tensor
) -> tuple[Tensor, Tensor]:
    """x [..., in] by weight [out, in], both values of codes, and bias: sums of integers, and their value of 1."""
    per_one = x_scale.double() * w_scale.double()
    return _codes(x, x_scale) @ _codes(weight, w_scale).mT + (
        bias.double() * per_one
    ).round(), 1 / per_one


def product(x: Tensor, x_scale: Tensor, w: Tensor, w_scale: Tensor) -> tuple[Tensor, Tensor]:
    """x [..., M, K] by w [..., K, N], both values of codes: sums of integers, and their value of 1."""
    return _codes(x, x_scale) @ _codes(w, w_scale), 1 / (x_scale.double() * w_scale.double())


def raw(sums: Tensor, unit: Tensor) -> Tensor:
    """What leaves the hardware as sums, in float32."""
    return (sums * unit).float()


def requantized(sums: Tensor, unit: Tensor, fmt: Format, scale: Tensor) -> Tensor:
    """What leaves it as codes of `fmt` at `scale`: their values, float32. golden.numeric.requantize has the formula."""
    mult, shift = (int(part) for part in encode_factors(np.array((scale.double() * unit).item())))
    largest = 7 if fmt.code_width == 4 else 127
    codes = ((sums * mult + 2.0 ** (shift - 1)) / 2.0**shift).floor().clamp(-largest, largest)
    return (codes / scale.double()).float()


def softmax(x: Tensor) -> Tensor:
    """Over the last axis."""
    return _on_host(encoder.softmax, x)


def gelu(x: Tensor) -> Tensor:
    """x / 2 * (1 + erf(x / sqrt(2)))."""
    return _on_host(encoder.gelu, x)


def layer_norm(x: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
    """Over the last axis."""
    norm = Norm(weight.numpy(force=True), bias.numpy(force=True))
    return _on_host(lambda values: encoder.layer_norm(values, norm, eps), x)


def _on_host(function: Callable[[NDArray[np.float32]], NDArray[np.float32]], x: Tensor) -> Tensor:
    return torch.from_numpy(function(x.numpy(force=True))).to(x.device)


def _codes(values: Tensor, scale: Tensor) -> Tensor:
    """The integers that values of codes stand for."""
    return torch.round(values.double() * scale.double())
