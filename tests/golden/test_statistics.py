"""Error measures against hand-computed and theoretical values, and statistics of a small model."""

import math
from dataclasses import replace

import numpy as np
import pytest

from golden.bert.calibration import quantize_model
from golden.bert.encoder import FloatProducts, float_encoder
from golden.bert.statistics import (
    ERROR_EDGES,
    Histogram,
    OutputStatistics,
    code_usage,
    entropy,
    histogram,
    layer_inputs,
    output_statistics,
    relative_errors,
    signal_to_noise,
    weight_statistics,
)
from golden.bert.weights import DENSE_NAMES
from golden.numeric.codec import all_codes, decode_code
from golden.numeric.gemm import gemm_reference
from golden.numeric.packing import pack
from golden.numeric.quantize import dequantize, max_scale, quantize
from golden.spec.formats import Format, Linear, Log2, Piecewise
from golden.spec.modes import mode
from tests.support import tiny

MODES = [mode("w8a8"), mode("w4a4"), mode("wlog-a8", 3), mode("wlog-alog", 4), mode("wpw-a8")]


def test_signal_to_noise_by_hand() -> None:
    assert signal_to_noise([3, 4], [3, 3]) == pytest.approx(10 * math.log10(25))
    assert signal_to_noise([[1, -1]], [[0, 0]]) == 0
    assert signal_to_noise([1, 2], [1, 2]) == math.inf
    assert signal_to_noise([0, 0], [1, 0]) == -math.inf
    with pytest.raises(ValueError, match=r"^arrays: expected one shape, got \(2,\) and \(3,\)$"):
        signal_to_noise([1, 2], [1, 2, 3])


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_signal_to_noise_of_a_uniform_signal(bits: int) -> None:
    """Over [-1, 1] the signal is 1/3; the noise, uniform over a step of 1/M, is 1/(12 M^2)."""
    values, fmt = np.linspace(-1, 1, 100_001), Linear(bits)
    approximation = dequantize(
        quantize(values, fmt, max_scale(values, fmt)), fmt, max_scale(values, fmt)
    )
    assert signal_to_noise(values, approximation) == pytest.approx(
        20 * math.log10(2 * fmt.max_value), abs=0.05
    )


def test_relative_errors_by_hand() -> None:
    assert relative_errors([[2, -4], [0, 8]], [[1, -5], [3, 8]]).tolist() == [0.5, 0.25, 0]
    assert relative_errors([0.3], [0]).tolist() == [1]


def test_relative_errors_of_powers_of_two_reach_a_third() -> None:
    values = np.geomspace(1, 2**14, 10_001)
    fmt = Log2(4)
    worst = relative_errors(values, dequantize(quantize(values, fmt, 1.0), fmt, 1.0)).max()
    assert worst == pytest.approx(1 / 3, abs=1e-3)


def test_histogram_by_hand() -> None:
    edges = np.array([1.0, 2.0, 4.0])
    result = histogram([[0.5, 1, 1.5], [2, 4, math.inf]], edges)
    assert (result.counts.tolist(), result.below, result.above, result.total) == ([2, 1], 1, 2, 6)
    assert result.shares.tolist() == [2 / 6, 1 / 6]
    assert result.median() == 2
    assert histogram([3, 3, 3, 1.5], edges).median() == pytest.approx(2 + 2 / 3)
    assert histogram([0, 0, 3], edges).median() == 1
    assert histogram([9], edges).median() == 4
    double = result + result
    assert (double.counts.tolist(), double.below, double.above) == ([4, 2], 2, 4)


def test_histogram_errors() -> None:
    empty = histogram([], ERROR_EDGES)
    assert (empty.total, empty.shares.sum()) == (0, 0)
    with pytest.raises(ValueError, match=r"^histogram: expected samples, got none$"):
        empty.median()
    with pytest.raises(ValueError, match=r"^histogram: expected equal edges to add$"):
        empty + Histogram(np.array([0.0, 1.0]), np.array([1]))
    with pytest.raises(ValueError, match=r"^values: expected numbers, got nan$"):
        histogram([1, math.nan], ERROR_EDGES)


def test_edges_put_zero_codes_apart() -> None:
    assert len(ERROR_EDGES) == 51
    assert ERROR_EDGES[[0, 40, 50]].tolist() == [1e-4, 1, 10]
    errors = histogram(relative_errors([0.1, 0.7, -3.3], [0, 0, 0]), ERROR_EDGES)
    assert errors.counts[40] == 3


@pytest.mark.parametrize(
    "fmt", [Linear(8), Linear(4), Log2(3), Log2(4), Log2(5), Piecewise(9)], ids=str
)
def test_code_usage(fmt: Format) -> None:
    """The i-th code in the order of values occurs i times; its count is at index i."""
    by_value = {
        decode_code(code, fmt): code
        for code in sorted(all_codes(fmt).tolist(), key=abs, reverse=True)
    }
    codes = all_codes(fmt)
    if isinstance(fmt, Piecewise):
        by_value = {code: code for code in codes.tolist()}
    ordered = [by_value[value] for value in sorted(by_value)]
    repeated = np.repeat(np.array(ordered, fmt.dtype), np.arange(len(ordered)))
    assert code_usage(repeated[::-1], fmt).tolist() == list(range(len(ordered)))
    assert code_usage(np.zeros((2, 3), fmt.dtype), fmt).nonzero()[0].tolist() == [len(ordered) // 2]
    with pytest.raises(ValueError, match=r"^codes: expected u?int8 codes for"):
        code_usage(np.zeros(3, np.int32), fmt)


def test_both_zeros_of_log2_are_one() -> None:
    assert code_usage(np.array([0, 16, 1, 17, 31], np.uint8), Log2(4))[
        [0, 14, 15, 16]
    ].tolist() == [
        1,
        1,
        2,
        1,
    ]


def test_entropy_by_hand() -> None:
    assert entropy(np.array([1, 1])) == 1
    assert entropy(np.array([2, 1, 0, 1])) == 1.5
    assert entropy(np.array([7])) == entropy(np.array([0])) == 0


@pytest.mark.parametrize("chosen", MODES, ids=lambda m: f"{m.name}-{m.w_format}")
def test_weights_of_a_model(chosen) -> None:
    weights = tiny.tiny_weights()
    model = quantize_model(weights, chosen, tiny.SENTENCES)
    result = weight_statistics(model, weights)
    reals, approximations, codes, stored = [], [], [], 0
    for layer, source in zip(model.layers, weights.layers, strict=True):
        for name in DENSE_NAMES:
            dense = layer.dense[name]
            reals.append(source.dense[name].weight.ravel())
            values = [decode_code(code, dense.format) for code in dense.codes.ravel().tolist()]
            approximations.append(np.array(values) / dense.scale)
            codes.append(dense.codes.ravel())
            stored += pack(dense.codes, dense.format).nbytes
    real, approximation = np.concatenate(reals), np.concatenate(approximations)
    assert result.signal_to_noise == pytest.approx(signal_to_noise(real, approximation))
    assert result.zero_fraction == np.mean(approximation == 0)
    assert result.stored_bytes == stored
    assert (
        result.usage.tolist()
        == code_usage(np.concatenate(codes), model.layers[0].dense["key"].format).tolist()
    )
    expected = histogram(relative_errors(real, approximation), ERROR_EDGES)
    assert result.errors.counts.tolist() == expected.counts.tolist()
    assert result.errors.total == np.count_nonzero(real)


@pytest.mark.parametrize("chosen", MODES, ids=lambda m: f"{m.name}-{m.w_format}")
def test_results_of_a_layer(chosen) -> None:
    weights = tiny.tiny_weights()
    model = quantize_model(weights, chosen, tiny.SENTENCES)
    inputs = layer_inputs(weights, tiny.SENTENCES[3], 1)
    result = output_statistics(model, weights, inputs, 1)
    assert list(result.signal_to_noise) == list(DENSE_NAMES)
    for name, x in inputs.items():
        dense = model.layers[1].dense[name]
        site = "hidden" if name in ("query", "key", "value") else name
        activation = model.layers[1].activations[site]
        codes = quantize(x, activation.format, activation.scale)
        acc = gemm_reference(codes, dense.codes, replace(chosen, w_format=dense.format))
        approximation = acc / activation.scale / dense.scale
        real = x.astype(np.float64) @ weights.layers[1].dense[name].weight
        assert result.signal_to_noise[name] == pytest.approx(
            signal_to_noise(real, approximation), rel=1e-4
        )
    assert result.errors.total == 4 * (
        4 * tiny.CONFIG.hidden + tiny.CONFIG.intermediate + tiny.CONFIG.hidden
    )
    assert result.mean_signal_to_noise == pytest.approx(
        np.mean(list(result.signal_to_noise.values()))
    )


def test_more_bits_lose_less() -> None:
    weights = tiny.tiny_weights()
    inputs = layer_inputs(weights, tiny.SENTENCES[0], 0)

    def ratios(name: str) -> tuple[float, float]:
        model = quantize_model(weights, mode(name), tiny.SENTENCES)
        outputs: OutputStatistics = output_statistics(model, weights, inputs, 0)
        return weight_statistics(model, weights).signal_to_noise, outputs.mean_signal_to_noise

    eight, four, both = ratios("w8a8"), ratios("w4a8"), ratios("w4a4")
    assert eight[0] > four[0] + 15
    assert four[0] == both[0]
    assert eight[1] > four[1] + 10 > both[1] + 10


def test_layer_inputs() -> None:
    weights = tiny.tiny_weights()
    seen = {}

    class Spy(FloatProducts):
        def dense(self, name, layer, x):
            seen[layer, name] = x
            return super().dense(name, layer, x)

    float_encoder(weights, Spy(weights.layers)).hidden_states([tiny.SENTENCES[1]])
    for layer in range(2):
        inputs = layer_inputs(weights, tiny.SENTENCES[1], layer)
        assert list(inputs) == list(DENSE_NAMES)
        for name, x in inputs.items():
            assert x.dtype == np.float32
            assert x.tolist() == seen[layer, name].tolist()
    for layer in (-1, 2):
        with pytest.raises(ValueError, match=rf"^layer: expected 0\.\.1, got {layer}$"):
            layer_inputs(weights, tiny.SENTENCES[1], layer)
