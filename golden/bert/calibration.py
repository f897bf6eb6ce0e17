"""Post-training quantization: scales of weights and of activations.

Weight scales depend on the weights alone. Activation scales come from a run on sample sentences.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from golden.bert.encoder import FloatProducts, Operand, float_encoder
from golden.bert.functions import Real
from golden.bert.quantized import (
    TABLE_FORMAT,
    QuantizedDense,
    QuantizedLayer,
    QuantizedModel,
    QuantizedTable,
)
from golden.bert.sites import INPUT_SITES, SITES, Activation, input_site, requantizable, site_format
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
"""Every STRIDE-th activation is sampled; odd, so that all columns of a power-of-two width occur."""


def calibration_sentences() -> list[str]:
    """Some dozens of English sentences of various lengths and topics, written for calibration."""
    text = (Path(__file__).parent / "data" / "calibration.txt").read_text(encoding="utf-8")
    return text.splitlines()


def quantize_model(
    weights: Weights,
    mode: Mode,
    sentences: Sequence[Sequence[int]],
    clip: bool = True,
    bits: int | None = None,
) -> QuantizedModel:
    """Quantize a model to `mode` without training.

    The float encoder runs `sentences` (token ids) to find activation scales. With `clip`, each
    clipping point minimises the squared error, for piece-wise weights together with the ratio;
    otherwise it is the largest magnitude. `bits` narrows the mode's linear formats as `with_bits`
    does. Weights of zeros, and weights too small for the requantizer's factors, get scales that the
    requantizer can express. Raises ValueError for no sentence, for ids that `Encoder.hidden_states`
    refuses, for bits that `with_bits` refuses, and, naming layer and site, for activations that
    overflow float32.
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
    """The mode with linear codes of `bits` bits.

    `bits` is 2..4 if the mode's weights have 4 bits and 5..8 if they have 8. In w4a8 only the
    weights are narrowed. Raises ValueError for other bits and for a mode without linear codes.
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
    """Sampled activations of each layer by site (SITES), float32 [n], including the extremes.

    Raises ValueError for no sentence.
    """
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
    """Float products that sample their operands."""

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
    # Fit Q, K and V first: the requantizer's largest factor bounds their results' scales, and
    # these bound the scale of P V.
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
    """Largest scale of a weight in `fmt` that the requantizer can express.

    One unit of a sum has the real value 1 / (x_scale * scale). In these units the bias must fit 32
    bits. The factor from sums to results at scale `result` (None for raw sums) must be at least
    FACTOR_MIN. Without a largest scale, tiny weights with an ordinary bias would exceed both
    limits.
    """
    largest = float(np.abs(bias).max())
    if isinstance(fmt, Log2):
        # Log2 formats span up to 31 octaves: at a larger scale ordinary sums would exceed 32 bits.
        largest = max(1.0, largest)
    most = BIAS_MAX / (x_scale * largest) if largest else math.inf
    return most if result is None else min(most, result / FACTOR_MIN / x_scale)


def fitted(weight: Real, fmt: Format, clip: bool, most: float = math.inf) -> tuple[Format, float]:
    """Format and scale, at most `most`, of a weight of any shape.

    With `clip`, the clipping point, and the ratio of a piece-wise format, minimise the squared
    error. Otherwise the largest magnitude is the clipping point and the format is unchanged. A
    scale above `most` is halved until it fits; the weight then does not use the largest codes. A
    weight of zeros fits any scale and gets the largest power of two, which preserves the bias best.
    Raises ValueError for values that are not finite.
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
