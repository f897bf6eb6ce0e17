"""Post-training quantization of a small model."""

import numpy as np
import pytest
import tiny

from golden.calibration import calibration_sentences, collect, quantize_model
from golden.encoder import float_encoder
from golden.formats import Linear, Log2, Piecewise
from golden.modes import mode
from golden.quantize import clip_scale, dequantize, max_scale, search_piecewise
from golden.quantized import INPUT_SITES, SITES


def test_sentences():
    sentences = calibration_sentences()
    words = [len(sentence.split()) for sentence in sentences]
    assert len(sentences) == len(set(sentences)) == 64
    assert (min(words), max(words)) == (4, 31)


@pytest.mark.parametrize("clip", [True, False])
@pytest.mark.parametrize("name", ["w8a8", "w4a4", "wlog-alog"])
def test_scales(name, clip):
    weights = tiny.tiny_weights()
    chosen = mode(name)
    model = quantize_model(weights, chosen, tiny.SENTENCES, clip)
    scale = clip_scale if clip else max_scale
    for layer, source, sample in zip(
        model.layers, weights.layers, collect(weights, tiny.SENTENCES), strict=True
    ):
        for part, dense in layer.dense.items():
            assert dense.scale == scale(source.dense[part].weight, chosen.w_format)
            assert dense.bias is source.dense[part].bias
        for site in SITES:
            fmt = chosen.x_format if site in INPUT_SITES else Linear(8)
            assert layer.activations[site].format == fmt
            assert layer.activations[site].scale == scale(sample[site], fmt)
    word = model.tables["word"]
    assert word.scale == scale(weights.tables.word, Linear(8))


def test_piecewise_formats():
    weights = tiny.tiny_weights()
    dense = quantize_model(weights, mode("wpw-a8"), tiny.SENTENCES).layers[0].dense["ffn1"]
    assert (dense.format, dense.scale) == search_piecewise(weights.layers[0].dense["ffn1"].weight)
    plain = quantize_model(weights, mode("wpw-a8"), tiny.SENTENCES, clip=False).layers[0].dense["ffn1"]
    assert plain.format == Piecewise()
    assert plain.scale == max_scale(weights.layers[0].dense["ffn1"].weight, Piecewise())


def test_exponent_bits():
    model = quantize_model(tiny.tiny_weights(), mode("wlog-a8", 3), tiny.SENTENCES)
    dense = model.layers[1].dense["ffn2"]
    assert dense.format == Log2(3)
    source = tiny.tiny_weights().layers[1].dense["ffn2"].weight
    # A power of two is within a factor of 4/3 of any value in its span.
    error = np.abs(dequantize(dense.codes, dense.format, dense.scale) - source)
    inside = np.abs(source * dense.scale) < Log2(3).max_value
    assert np.all(error[inside] <= np.maximum(np.abs(source[inside]) / 3, 0.5 / dense.scale) + 1e-6)


def test_samples_hold_extremes():
    weights = tiny.tiny_weights()
    seen = []

    class Spy(type(float_encoder(weights)._products)):
        def dense(self, name, layer, x):
            if (name, layer) == ("ffn2", 1):
                seen.append(x)
            return super().dense(name, layer, x)

    encoder = float_encoder(weights, Spy(weights.layers))
    for ids in tiny.SENTENCES:
        encoder.hidden_states([ids])
    sample = collect(weights, tiny.SENTENCES)[1]["ffn2"]
    assert sample.max() == max(x.max() for x in seen)
    assert sample.min() == min(x.min() for x in seen)


def test_no_sentence():
    with pytest.raises(ValueError, match=r"^sentences: expected at least one, got none$"):
        quantize_model(tiny.tiny_weights(), mode("w8a8"), [])
