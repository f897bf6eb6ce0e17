"""Weights of zeros, and weights so tiny that scales or factors reach their limits."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from golden.bert.calibration import quantize_model
from golden.bert.encoder import float_encoder
from golden.bert.quantized import QuantizedProducts, quantized_encoder
from golden.bert.weights import DENSE_NAMES, Dense, LayerWeights, Norm, Weights
from golden.numeric.codec import decode
from golden.numeric.quantize import (
    clip_scale,
    dequantize,
    max_scale,
    quantize,
    scale_for,
    search_piecewise,
)
from golden.schedule.backend import golden_backend
from golden.spec.formats import Format, Log2, Piecewise
from golden.spec.modes import MODE_NAMES, Mode, mode
from tests.support import tiny
from tests.support.formats import FORMATS

SIZES = [1e-40, 1e-45, 1e-300, 1e-307, 5e-324, 0.0]


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
@pytest.mark.parametrize("size", SIZES)
def test_tensors(fmt: Format, size: float) -> None:
    x = np.array([[0.3, -1.0, 0.0], [0.5, 1.0, -0.25]]) * size
    candidates: list[tuple[Format, float]] = [(fmt, clip_scale(x, fmt)), (fmt, max_scale(x, fmt))]
    if isinstance(fmt, Piecewise):
        candidates.append(search_piecewise(x, bits=fmt.bits))
    for chosen, scale in candidates:
        assert scale > 0
        assert math.isfinite(scale)
        back = dequantize(quantize(x, chosen, scale), chosen, scale)
        assert (np.abs(back - x) <= np.abs(x).max()).all()
        if size >= 1e-300 and not isinstance(fmt, Log2):
            # The codes equal those of ordinary weights: a common factor cancels.
            assert np.array_equal(
                quantize(x, chosen, scale), quantize(x / size, chosen, scale * size)
            )


def test_scales_end_at_the_largest_float() -> None:
    for fmt in FORMATS:
        assert scale_for(5e-324, fmt) == np.finfo(np.float64).max


Change = Callable[[Weights], Weights]


def with_dense(change: Callable[[str, Dense], Dense]) -> Change:
    def changed(weights: Weights) -> Weights:
        layers = [
            replace(layer, dense={name: change(name, dense) for name, dense in layer.dense.items()})
            for layer in weights.layers
        ]
        return replace(weights, layers=tuple(layers))

    return changed


def times(size: float, *names: str, bias: float = 1.0) -> Change:
    """Multiply the linear weights of these layers (default: all) and their biases."""

    def change(name: str, dense: Dense) -> Dense:
        if names and name not in names:
            return dense
        return Dense(dense.weight * np.float32(size), dense.bias * np.float32(bias))

    return with_dense(change)


def small_states(weights: Weights) -> Weights:
    """A layer with tiny inputs: the norms before it have tiny gains and no bias."""

    def norm(norm: Norm) -> Norm:
        return Norm(norm.weight * np.float32(1e-20), norm.bias * np.float32(0))

    layers: list[LayerWeights] = [
        replace(layer, attention_norm=norm(layer.attention_norm)) for layer in weights.layers
    ]
    return replace(weights, embedding_norm=norm(weights.embedding_norm), layers=tuple(layers))


CHANGES: dict[str, Change] = {
    **{f"{name} of zeros": times(0, name) for name in DENSE_NAMES},
    "zeros": times(0),
    "zeros, no bias": times(0, bias=0),
    "zeros, tiny biases": times(0, bias=1e-30),
    "1e-40": times(1e-40),
    "1e-40, no bias": times(1e-40, bias=0),
    "1e-44 beside large biases": times(1e-44, bias=1e4),
    "1e-9": times(1e-9),
    "1e-9, tiny biases": times(1e-9, bias=1e-20),
    "tiny biases": times(1, bias=1e-40),
    "tiny states": small_states,
}

MODES = [(mode(name), None) for name in MODE_NAMES]
MODES += [(mode("wlog-a8", 3), None), (mode("wlog-a8", 5), None), (mode("wlog-alog", 3), None)]
MODES += [(mode("w8a8"), 5), (mode("w4a8"), 2), (mode("w4a4"), 2)]


@pytest.mark.parametrize(
    ("chosen", "bits"),
    MODES,
    ids=lambda each: f"{each.name}-{each.w_format}" if isinstance(each, Mode) else f"{each}",
)
@pytest.mark.parametrize("clip", [True, False], ids=["clip", "all"])
def test_models(chosen: Mode, bits: int | None, clip: bool) -> None:
    """Every model runs, and its projections differ from the real ones only by rounding."""
    for what, change in CHANGES.items():
        weights = change(tiny.tiny_weights())
        model = quantize_model(weights, chosen, tiny.SENTENCES, clip, bits)
        assert np.isfinite(
            quantized_encoder(model, golden_backend).sentence_vectors([[1, 5, 9, 2]])
        ).all(), what
        layer, real = model.layers[1], weights.layers[1]
        scale = {site: activation.scale for site, activation in layer.activations.items()}
        x = np.linspace(-1, 1, 48, dtype=np.float32).reshape(2, 24) * np.float32(
            127 / scale["hidden"]
        )
        codes = QuantizedProducts(model, golden_backend).project(1, x)
        x_values = decode(
            quantize(x, layer.activations["hidden"].format, scale["hidden"]), model.mode.x_format
        )
        for name, code in zip(("query", "key", "value"), codes, strict=True):
            dense = layer.dense[name]
            unit = scale["hidden"] * float(dense.scale)
            # Rounding: the bias to half a unit of a sum, the result to half a code, and the
            # factor to 15 bits.
            exact = (x_values @ decode(dense.codes, dense.format)) / unit + real.dense[
                name
            ].bias.astype(np.float64)
            wanted = np.clip(exact * scale[name], -127, 127)
            slack = 0.51 + 0.5 * scale[name] / unit
            assert np.abs(code - wanted).max() <= slack, (what, name)
            # With weights of zeros the result is the bias.
            if "tiny" not in what and not real.dense[name].weight.any():
                assert slack < 1, (what, name)


def test_zeros_answer_as_in_float() -> None:
    weights = times(0, "query", "key", "value", "output")(tiny.tiny_weights())
    vectors = [
        encoder.sentence_vectors([[1, 44, 2]])
        for encoder in (
            float_encoder(weights),
            quantized_encoder(
                quantize_model(weights, mode("w8a8"), tiny.SENTENCES), golden_backend
            ),
        )
    ]
    assert (vectors[0] * vectors[1]).sum() > 0.999


def test_a_value_that_is_none_is_named_by_its_layer() -> None:
    weights = times(1e38, "ffn1")(tiny.tiny_weights())
    with pytest.raises(
        ValueError, match=r"^layers\.0\.ffn2: expected finite numbers, got -?(inf|nan) at \["
    ):
        quantize_model(weights, mode("w8a8"), tiny.SENTENCES)
