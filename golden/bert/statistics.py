"""Quantization error statistics of weights and of GEMM results.

r is the real value, a its approximation by codes. Sums run over all elements.

    signal-to-noise ratio   10 log10(sum(r^2) / sum((a - r)^2))   in dB
    relative error          |a - r| / |r|                         for r != 0; 1 if a is 0
    entropy                 -sum(p log2 p)                        in bits, p the share of each code
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.bert.encoder import FloatProducts, Operand, float_encoder
from golden.bert.functions import Real
from golden.bert.quantized import QuantizedModel
from golden.bert.sites import input_site
from golden.bert.weights import DENSE_NAMES, LayerWeights, Weights
from golden.numeric.codec import check_codes, code_range, decode
from golden.numeric.gemm import gemm
from golden.numeric.packing import packed_shape
from golden.numeric.quantize import dequantize, quantize
from golden.spec.formats import Format, Log2

__all__ = [
    "ERROR_EDGES",
    "Histogram",
    "OutputStatistics",
    "WeightStatistics",
    "code_usage",
    "entropy",
    "histogram",
    "layer_inputs",
    "output_statistics",
    "relative_errors",
    "signal_to_noise",
    "stored_bytes",
    "weight_statistics",
]

ERROR_EDGES: NDArray[np.float64] = 10.0 ** (np.arange(-40, 11) / 10)
"""Edges of relative errors: ten bins per decade from 0.01 % to 1000 %; one edge is 1."""


@dataclass(frozen=True)
class Histogram:
    """Histogram over `edges`, float64 [bins + 1]: int64 `counts` [bins].

    Bin i counts the samples v with edges[i] <= v < edges[i + 1]; `below` and `above` count the
    others.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    below: int = 0
    above: int = 0

    @property
    def total(self) -> int:
        """Number of all samples, including those outside the edges."""
        return int(self.counts.sum()) + self.below + self.above

    @property
    def shares(self) -> NDArray[np.float64]:
        """Fraction of all samples in each bin."""
        return np.asarray(self.counts / max(1, self.total), np.float64)

    def median(self) -> float:
        """Median, interpolated within its bin; the outermost edge if it is outside the edges.

        Raises ValueError for an empty histogram.
        """
        if not self.total:
            raise ValueError("histogram: expected samples, got none")
        reached = self.below + np.concatenate(([0], np.cumsum(self.counts)))
        return float(np.interp(self.total / 2, reached, self.edges))

    def __add__(self, other: "Histogram") -> "Histogram":
        if not np.array_equal(self.edges, other.edges):
            raise ValueError("histogram: expected equal edges to add")
        counts = self.counts + other.counts
        return Histogram(self.edges, counts, self.below + other.below, self.above + other.above)


def histogram(values: ArrayLike, edges: NDArray[np.float64]) -> Histogram:
    """Histogram of `values` of any shape over ascending `edges`; raises ValueError for NaN."""
    samples = np.asarray(values, np.float64).ravel()
    if np.isnan(samples).any():
        raise ValueError("values: expected numbers, got nan")
    bins = np.searchsorted(edges, samples, side="right")
    counts = np.bincount(bins, minlength=len(edges) + 1)
    return Histogram(edges, counts[1:-1], int(counts[0]), int(counts[-1]))


def signal_to_noise(reference: ArrayLike, approximation: ArrayLike) -> float:
    """Signal-to-noise ratio in dB: inf for equal arrays, -inf if only the reference is zero."""
    return _decibel(*_energies(reference, approximation))


def relative_errors(reference: ArrayLike, approximation: ArrayLike) -> NDArray[np.float64]:
    """Relative errors, float64 [n], of the elements whose reference is not 0."""
    r, a = _reals(reference, approximation)
    used = r != 0
    return np.asarray(np.abs(a[used] - r[used]) / np.abs(r[used]), np.float64)


def code_usage(codes: NDArray[np.integer], fmt: Format) -> NDArray[np.int64]:
    """Occurrences of each code, int64 [2 * top + 1], in ascending order of values.

    Index q + top counts code q of linear and piece-wise formats, top = 2^(bits - 1) - 1. For log2,
    q is (-1)^s * e and top = 2^n - 1; both zeros share an index. Raises ValueError for illegal
    codes.
    """
    check_codes(codes, fmt, "codes")
    signed = codes.astype(np.int64)
    top = code_range(fmt)[1]
    if isinstance(fmt, Log2):
        sign, field = np.divmod(signed, 1 << fmt.exponent_bits)
        signed, top = np.where(sign, -field, field), top >> 1
    return np.bincount(signed.ravel() + top, minlength=2 * top + 1)


def entropy(counts: NDArray[np.integer]) -> float:
    """Entropy, in bits per symbol, of symbols with these counts; 0 for no symbol."""
    shares = counts[counts > 0] / max(1, int(counts.sum()))
    return float(-(shares * np.log2(shares)).sum()) + 0.0


@dataclass(frozen=True)
class WeightStatistics:
    """Statistics of all linear weights of a model together.

    `signal_to_noise` is in dB, `zero_fraction` in 0..1. `stored_bytes` is the size of the packed
    codes without scales. `usage` is as `code_usage` returns it, `errors` is a histogram of relative
    errors over ERROR_EDGES.
    """

    signal_to_noise: float
    zero_fraction: float
    stored_bytes: int
    usage: NDArray[np.int64]
    errors: Histogram


def weight_statistics(model: QuantizedModel, weights: Weights) -> WeightStatistics:
    """Statistics of the model's weight codes against the float weights."""
    signal = noise = 0.0
    zeros = count = 0
    usage: NDArray[np.int64] = np.zeros(1, np.int64)
    errors = histogram([], ERROR_EDGES)
    for layer, source in zip(model.layers, weights.layers, strict=True):
        for name, dense in layer.dense.items():
            real = source.dense[name].weight
            approximation = dequantize(dense.codes, dense.format, dense.scale)
            energies = _energies(real, approximation)
            signal, noise = signal + energies[0], noise + energies[1]
            zeros += int(np.count_nonzero(decode(dense.codes, dense.format) == 0))
            count += dense.codes.size
            usage = usage + code_usage(dense.codes, dense.format)
            errors += histogram(relative_errors(real, approximation), ERROR_EDGES)
    return WeightStatistics(
        _decibel(signal, noise), zeros / count, stored_bytes(model), usage, errors
    )


def stored_bytes(model: QuantizedModel) -> int:
    """Bytes of the packed codes of all linear weights, without scales."""
    parts = (dense for layer in model.layers for dense in layer.dense.values())
    return sum(int(np.prod(packed_shape(dense.codes.shape, dense.format))) for dense in parts)


@dataclass(frozen=True)
class OutputStatistics:
    """Errors of the linear GEMMs of one layer.

    `signal_to_noise` is in dB by GEMM; `errors` is a histogram of all results over ERROR_EDGES.
    """

    signal_to_noise: Mapping[str, float]
    errors: Histogram

    @property
    def mean_signal_to_noise(self) -> float:
        """Mean of the GEMMs' signal-to-noise ratios in dB.

        A single ratio over all results would be dominated by the GEMM with the largest results.
        """
        return float(np.mean(list(self.signal_to_noise.values())))


def output_statistics(
    model: QuantizedModel, weights: Weights, inputs: Mapping[str, Real], layer: int
) -> OutputStatistics:
    """Errors of a layer's quantized GEMMs against float64 GEMMs of the same inputs, without biases.

    `inputs` as `layer_inputs` returns them; each is quantized at the model's scale.
    """
    ratios = {}
    errors = histogram([], ERROR_EDGES)
    for name, x in inputs.items():
        dense = model.layers[layer].dense[name]
        activation = model.layers[layer].activations[input_site(name)]
        codes = quantize(x, activation.format, activation.scale)
        acc = gemm(codes, dense.codes, replace(model.mode, w_format=dense.format))
        approximation = acc / (activation.scale * dense.scale)
        weight = weights.layers[layer].dense[name].weight
        real = x.astype(np.float64) @ weight.astype(np.float64)
        ratios[name] = signal_to_noise(real, approximation)
        errors += histogram(relative_errors(real, approximation), ERROR_EDGES)
    return OutputStatistics(ratios, errors)


def layer_inputs(weights: Weights, ids: Sequence[int], layer: int) -> dict[str, Real]:
    """x, float32 [tokens, in], of each linear GEMM (DENSE_NAMES) of a layer in the float encoder.

    `ids` is the token sequence. Raises ValueError for a layer outside the model, and for ids as
    `Encoder.hidden_states`.
    """
    if not 0 <= layer < len(weights.layers):
        raise ValueError(f"layer: expected 0..{len(weights.layers) - 1}, got {layer}")
    tap = _Tap(weights.layers, layer)
    float_encoder(weights, tap).hidden_states([ids])
    return {name: tap.inputs[name] for name in DENSE_NAMES}


class _Tap(FloatProducts):
    """Float products that record the inputs of one layer's linear GEMMs."""

    def __init__(self, layers: Sequence[LayerWeights], layer: int) -> None:
        super().__init__(layers)
        self._layer = layer
        self.inputs: dict[str, Real] = {}

    def dense(self, name: str, layer: int, x: Operand) -> Real:
        if layer == self._layer:
            self.inputs[name] = x
        return super().dense(name, layer, x)


def _energies(reference: ArrayLike, approximation: ArrayLike) -> tuple[float, float]:
    """sum(r^2) and sum((a - r)^2)."""
    r, a = _reals(reference, approximation)
    return float((r * r).sum()), float(((a - r) ** 2).sum())


def _decibel(signal: float, noise: float) -> float:
    if noise == 0:
        return float("inf")
    return float(10 * np.log10(signal / noise)) if signal else float("-inf")


def _reals(
    reference: ArrayLike, approximation: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    r, a = np.asarray(reference, np.float64), np.asarray(approximation, np.float64)
    if r.shape != a.shape:
        raise ValueError(f"arrays: expected one shape, got {r.shape} and {a.shape}")
    return r, a
