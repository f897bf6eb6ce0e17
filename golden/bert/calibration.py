"""Post-training quantization: scales of weights from themselves, of activations from sample sentences."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from golden.bert.encoder import FloatProducts, Operand, Real, float_encoder
from golden.bert.quantized import (
    INPUT_SITES,
    SITES,
    TABLE_FORMAT,
    Activation,
    QuantizedDense,
    QuantizedLayer,
    QuantizedModel,
    QuantizedTable,
    input_site,
    requantizable,
    site_format,
)
from golden.bert.weights import DENSE_NAMES, LayerWeights, Weights
from golden.checks import check_finite
from golden.numeric.quantize import clip_scale, max_scale, quantize, search_piecewise
from golden.numeric.requantize import BIAS_MAX, FACTOR_MAX, FACTOR_MIN
from golden.spec.formats import Format, Linear, Log2, Piecewise
from golden.spec.modes import Mode

__all__ = [
    "STRIDE",
    "calibration_sentences",
    "collect",
    "fitted",
    "most_scale",
    "quantize_model",
    "with_bits",
]

STRIDE = 7
"""One activation in so many is kept; odd, so that every column of a power-of-two width takes part."""


def calibration_sentences() -> list[str]:
    """Some dozens of English sentences of various lengths and topics, written for this purpose."""
    text = (Path(__file__).parent / "data" / "calibration.txt").read_text(encoding="utf-8")
    return text.splitlines()


def quantize_model(
    weights: Weights,
    mode: Mode,
    sentences: Sequence[Sequence[int]],
    clip: bool = True,
    bits: int | None = None,
) -> QuantizedModel:
    """The model in `mode`, nothing trained.

    Activation scales come from running the float encoder on `sentences` (token ids). With `clip`
    every clipping point minimises the squared error (piece-wise weights: together with the ratio),
    without it is the largest magnitude seen. `bits` narrows the mode's linear formats as
    `with_bits` does. Raises ValueError for no sentence, ids as `Encoder.hidden_states`, bits as
    `with_bits`, or activations beyond float32, by layer and site. Weights of zeros, or too tiny for
    the requantizer's factors, get scales that it can express.
    """
    formats = mode if bits is None else with_bits(mode, bits)
    samples = collect(weights, sentences)
    layers = tuple(
        _quantize_layer(layer, sample, formats, clip)
        for layer, sample in zip(weights.layers, samples, strict=True)
    )
    tables = {}
    for name in ("word", "position", "kind"):
        table = getattr(weights.tables, name)
        scale = _scale(table, TABLE_FORMAT, clip)
        tables[name] = QuantizedTable(quantize(table, TABLE_FORMAT, scale), scale)
    return QuantizedModel(mode, weights.config, tables, weights.embedding_norm, layers)


def with_bits(mode: Mode, bits: int) -> Mode:
    """The mode with linear codes of `bits` bits: 2..4 where weights have 4, 5..8 where all have 8.

    In w4a8 activations stay as they are. Raises ValueError for other bits, or a mode without linear
    codes.
    """
    linear = [fmt for fmt in (mode.w_format, mode.x_format) if isinstance(fmt, Linear)]
    if not linear:
        raise ValueError(
            f"bits: expected none in {mode.name}, which has no linear codes, got {bits!r}"
        )
    most = min(fmt.bits for fmt in linear)
    least = 2 if most == 4 else 5
    if not least <= bits <= most:
        raise ValueError(f"bits: expected {least}..{most} in {mode.name}, got {bits!r}")

    def narrowed(fmt: Format) -> Format:
        return Linear(bits) if fmt == Linear(most) else fmt

    return replace(mode, x_format=narrowed(mode.x_format), w_format=narrowed(mode.w_format))


def collect(weights: Weights, sentences: Sequence[Sequence[int]]) -> list[dict[str, Real]]:
    """For each layer, by site (SITES), a sample of its activations: float32 [n], the extremes included."""
    if not sentences:
        raise ValueError("sentences: expected at least one, got none")
    recorder = _Recorder(weights.layers)
    encoder = float_encoder(weights, recorder)
    for ids in sentences:
        encoder.hidden_states([ids])
    return [
        {site: np.concatenate(parts) for site, parts in layer.items()} for layer in recorder.samples
    ]


class _Recorder(FloatProducts):
    """Float products that keep a part of what passes."""

    def __init__(self, layers: Sequence[LayerWeights]) -> None:
        super().__init__(layers)
        self.samples: list[dict[str, list[Real]]] = [{site: [] for site in SITES} for _ in layers]

    def project(self, layer: int, x: Real) -> tuple[Operand, Operand, Operand]:
        results = super().project(layer, x)
        for site, array in zip(SITES, (x, *results), strict=False):
            self._keep(layer, site, array)
        return results

    def context(self, layer: int, probabilities: Real, value: Operand) -> Operand:
        result = super().context(layer, probabilities, value)
        self._keep(layer, "probabilities", probabilities)
        self._keep(layer, "context", result)
        return result

    def dense(self, name: str, layer: int, x: Operand) -> Real:
        if name in SITES[-3:]:
            self._keep(layer, name, x)
        return super().dense(name, layer, x)

    def _keep(self, layer: int, site: str, array: Operand) -> None:
        values = array.ravel()
        check_finite(values, f"layers.{layer}.{site}")
        extremes = values[[values.argmin(), values.argmax()]]
        self.samples[layer][site] += [
            values[::STRIDE].astype(np.float32),
            extremes.astype(np.float32),
        ]


def _quantize_layer(
    layer: LayerWeights, sample: Mapping[str, Real], mode: Mode, clip: bool
) -> QuantizedLayer:
    formats = {site: site_format(mode, site) for site in SITES}
    scales = {site: _scale(sample[site], fmt, clip) for site, fmt in formats.items()}
    dense = {}
    # Q, K and V first: what their sums can say bounds the scales of their results and of what
    # follows.
    for name in DENSE_NAMES:
        part = layer.dense[name]
        x_scale = scales[input_site(name)]
        result = scales[name] if name not in INPUT_SITES else None
        most = most_scale(part.bias, mode.w_format, x_scale, result)
        fmt, scale = fitted(part.weight, mode.w_format, clip, most)
        dense[name] = QuantizedDense(
            quantize(part.weight, fmt, scale), fmt, np.array(scale), part.bias
        )
        if result is not None:
            scales[name] = min(result, FACTOR_MAX * x_scale * scale)
        if name == "value":
            site = "output" if requantizable(formats["output"]) else "context"
            scales[site] = min(scales[site], FACTOR_MAX * scales["probabilities"] * scales["value"])
    activations = {site: Activation(fmt, scales[site]) for site, fmt in formats.items()}
    return QuantizedLayer(dense, activations, layer.attention_norm, layer.output_norm)


def most_scale(bias: Real, fmt: Format, x_scale: float, result: float | None) -> float:
    """The largest scale of a weight in `fmt` that the requantizer can express beside the other scales.

    The bias is to fit 32 bits in units of a sum, 1 / (x_scale * scale), and the factor from sums to
    results at scale `result`, None for raw sums, is to be FACTOR_MIN or more. Tiny weights beside
    an ordinary bias ask for more.
    """
    largest = float(np.abs(bias).max())
    if isinstance(fmt, Log2):
        # A span of 31 octaves makes a sum's unit so small that sums of ordinary size leave 32 bits.
        largest = max(1.0, largest)
    most = BIAS_MAX / (x_scale * largest) if largest else math.inf
    return most if result is None else min(most, result / FACTOR_MIN / x_scale)


def fitted(weight: Real, fmt: Format, clip: bool, most: float = math.inf) -> tuple[Format, float]:
    """Format and scale, at most `most`, for a weight of any shape: with `clip` of least squared error.

    A piece-wise ratio is then chosen too. Without `clip` the largest magnitude is the clipping
    point and the format stays. Where the scale would be above `most`, codes give up octaves at the
    top, which such a weight does not need. A weight of zeros takes the largest power of two: any
    scale fits it, and a fine one keeps the bias. Raises ValueError for values that are not finite.
    """
    if isinstance(fmt, Piecewise) and clip:
        fmt, scale = search_piecewise(weight, bits=fmt.bits)
    else:
        scale = _scale(weight, fmt, clip)
    if math.isfinite(most) and not np.any(weight):
        return fmt, 2.0 ** math.floor(math.log2(most))
    while scale > most:
        scale /= 2
    return fmt, scale


def _scale(array: Real, fmt: Format, clip: bool) -> float:
    return clip_scale(array, fmt) if clip else max_scale(array, fmt)
