"""Post-training quantization: scales of weights from themselves, of activations from sample sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from golden.encoder import FloatProducts, Operand, Real, float_encoder
from golden.formats import Format, Linear, Log2, Piecewise
from golden.modes import Mode
from golden.quantize import clip_scale, max_scale, quantize, search_piecewise
from golden.quantized import (
    SITES,
    TABLE_FORMAT,
    Activation,
    QuantizedDense,
    QuantizedLayer,
    QuantizedModel,
    QuantizedTable,
    input_site,
    site_format,
)
from golden.requantize import BIAS_MAX
from golden.weights import Dense, LayerWeights, Weights

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

    Activation scales come from running the float encoder on `sentences` (token ids). With `clip` every
    clipping point minimises the squared error (piece-wise weights: together with the ratio), without it is
    the largest magnitude seen. `bits` narrows the mode's linear formats: 5..7 ride in those of 8 bits. Raises
    ValueError for no sentence, ids as `Encoder.hidden_states`, or bits that the mode's datapath does not take.
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
    """The mode with linear operands of `bits` bits; raises ValueError where its datapath takes others."""

    def narrowed(fmt: Format) -> Format:
        if not isinstance(fmt, Linear):
            return fmt
        least = 2 if fmt.code_width == 4 else 5
        if not least <= bits <= fmt.bits:
            raise ValueError(f"bits: expected {least}..{fmt.bits} in {mode.name}, got {bits!r}")
        return Linear(bits)

    return replace(mode, x_format=narrowed(mode.x_format), w_format=narrowed(mode.w_format))


def collect(weights: Weights, sentences: Sequence[Sequence[int]]) -> list[dict[str, Real]]:
    """For each layer, by site (SITES), a sample of its activations: float32 [n], the extremes included."""
    if not sentences:
        raise ValueError("sentences: expected at least one, got none")
    recorder = _Recorder(weights.layers)
    encoder = float_encoder(weights, recorder)
    for ids in sentences:
        encoder.hidden_states([ids])
    return [{site: np.concatenate(parts) for site, parts in layer.items()} for layer in recorder.samples]


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
        extremes = values[[values.argmin(), values.argmax()]]
        self.samples[layer][site] += [values[::STRIDE].astype(np.float32), extremes.astype(np.float32)]


def _quantize_layer(
    layer: LayerWeights, sample: Mapping[str, Real], mode: Mode, clip: bool
) -> QuantizedLayer:
    activations = {}
    for site in SITES:
        fmt = site_format(mode, site)
        activations[site] = Activation(fmt, _scale(sample[site], fmt, clip))
    dense = {}
    for name, part in layer.dense.items():
        x_scale = activations[input_site(name)].scale
        dense[name] = _quantize_dense(part, mode.w_format, x_scale, clip)
    return QuantizedLayer(dense, activations, layer.attention_norm, layer.output_norm)


def _quantize_dense(dense: Dense, fmt: Format, x_scale: float, clip: bool) -> QuantizedDense:
    fmt, scale = fitted(dense.weight, fmt, clip)
    if isinstance(fmt, Log2):
        # A span of 31 octaves makes a sum's unit so small that the bias leaves 32 bits, and the factor to
        # 8-bit results falls below 2^-33 (hence the 1). Give up octaves at the top, which no weight needs.
        while scale * x_scale * max(1.0, float(np.abs(dense.bias).max())) > BIAS_MAX:
            scale /= 2
    return QuantizedDense(quantize(dense.weight, fmt, scale), fmt, np.array(scale), dense.bias)


def fitted(weight: Real, fmt: Format, clip: bool) -> tuple[Format, float]:
    """Format and scale for a weight of any shape: with `clip` of least squared error, a piece-wise ratio included.

    Without, the largest magnitude is the clipping point and the format stays. Raises ValueError for values that are
    not finite.
    """
    if isinstance(fmt, Piecewise) and clip:
        return search_piecewise(weight, bits=fmt.bits)
    return fmt, _scale(weight, fmt, clip)


def _scale(array: Real, fmt: Format, clip: bool) -> float:
    return clip_scale(array, fmt) if clip else max_scale(array, fmt)
