"""Post-training quantization of a small model."""

import numpy as np
import pytest

from golden.bert.calibration import calibration_sentences, collect, quantize_model
from golden.bert.encoder import FloatProducts, float_encoder
from golden.bert.sites import INPUT_SITES, SITES
from golden.numeric.quantize import clip_scale, dequantize, max_scale, search_piecewise
from golden.spec.formats import Linear, Log2, Piecewise
from golden.spec.modes import mode
from tests.support import tiny


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
    plain = (
        quantize_model(weights, mode("wpw-a8"), tiny.SENTENCES, clip=False).layers[0].dense["ffn1"]
    )
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


class Spy(FloatProducts):
    """Float products that record all activations of the last layer."""

    def __init__(self, layers):
        super().__init__(layers)
        self.seen = {site: [] for site in SITES}

    def keep(self, layer, **arrays):
        if layer == 1:
            for site, array in arrays.items():
                self.seen[site].append(array.ravel())

    def project(self, layer, x):
        query, key, value = super().project(layer, x)
        self.keep(layer, hidden=x, query=query, key=key, value=value)
        return query, key, value

    def context(self, layer, probabilities, value):
        result = super().context(layer, probabilities, value)
        self.keep(layer, probabilities=probabilities, context=result)
        return result

    def dense(self, name, layer, x):
        if name in ("output", "ffn1", "ffn2"):
            self.keep(layer, **{name: x})
        return super().dense(name, layer, x)


def test_samples():
    weights = tiny.tiny_weights()
    spy = Spy(weights.layers)
    for ids in tiny.SENTENCES:
        float_encoder(weights, spy).hidden_states([ids])
    samples = collect(weights, tiny.SENTENCES)[1]
    assert list(samples) == list(SITES)
    for site, sample in samples.items():
        everything = np.concatenate(spy.seen[site])
        assert np.isin(sample, everything).all()
        assert (sample.min(), sample.max()) == (everything.min(), everything.max())
        assert everything.size / 7 < sample.size < everything.size / 7 + 16


def test_no_sentence():
    with pytest.raises(ValueError, match=r"^sentences: expected at least one, got none$"):
        quantize_model(tiny.tiny_weights(), mode("w8a8"), [])
