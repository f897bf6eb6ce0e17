"""QuantizedBert: its values, what training changes, and its export."""

from itertools import pairwise

import numpy as np
import pytest
import torch
import transformers

from golden.bert.calibration import quantize_model
from golden.bert.quantized import quantized_encoder
from golden.bert.weights import DENSE_KEYS, DENSE_NAMES
from golden.numeric.quantize import dequantize, search_piecewise
from golden.schedule.backend import golden_backend
from golden.spec.formats import Linear, Piecewise
from golden.spec.modes import MODE_NAMES, Mode, mode
from tests.support.tiny import CONFIG, SENTENCES, config_fields, state_dict, tiny_weights
from train.bert import QuantizedBert
from train.export import exported
from train.quantizers import MOMENTUM, ActivationQuantizer, WeightQuantizer, parameters_of_scales

pytestmark = pytest.mark.slow

MODES = [
    *(mode(name) for name in MODE_NAMES),
    mode("wlog-a8", 3),
    mode("wlog-a8", 5),
    mode("wlog-alog", 3),
]
EVERY_MODE = pytest.mark.parametrize(
    "chosen", MODES, ids=lambda chosen: f"{chosen.name}-{chosen.w_format}"
)


def quantized(chosen: Mode, size: float = 1, **options: bool) -> QuantizedBert:
    """`size` scales all linear weights but not their biases."""
    fields = transformers.BertConfig(**config_fields(), type_vocab_size=2)
    bert = transformers.BertModel(fields, add_pooling_layer=False)
    weights = tiny_weights()
    for layer in weights.layers:
        for dense in layer.dense.values():
            dense.weight[:] *= np.float32(size)
    bert.load_state_dict(
        {name: torch.from_numpy(array) for name, array in state_dict(weights).items()}
    )
    return QuantizedBert(bert, quantize_model(weights, chosen, SENTENCES), **options)


def step(model: QuantizedBert, times: int = 3) -> None:
    """Training steps that push two sentences apart."""
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=0.1)
    ids = torch.tensor([[1, 5, 9, 2], [1, 12, 13, 2]])
    for _ in range(times):
        optimizer.zero_grad()
        first, second = model.sentence_vectors(ids, torch.ones_like(ids))
        (first @ second).backward()
        optimizer.step()


@EVERY_MODE
def test_untrained_export_is_golden_s_calibration(chosen: Mode) -> None:
    model = quantized(chosen)
    for layer, start in zip(exported(model).layers, model.start.layers, strict=True):
        for name in DENSE_NAMES:
            assert layer.dense[name].format == start.dense[name].format
            np.testing.assert_array_equal(layer.dense[name].codes, start.dense[name].codes)
            np.testing.assert_array_equal(layer.dense[name].bias, start.dense[name].bias)
        assert layer.activations == start.activations


@EVERY_MODE
@pytest.mark.parametrize("learned", [False, True], ids=["followed", "learned"])
def test_exported_codes_are_what_training_computed_with(chosen: Mode, learned: bool) -> None:
    model = quantized(chosen, learned=learned)
    step(model)
    model.fit()
    moved = False
    for layer, exact, start in zip(
        model.layers, exported(model).layers, model.start.layers, strict=True
    ):
        for name in DENSE_NAMES:
            dense = exact.dense[name]
            values = dequantize(dense.codes, dense.format, float(dense.scale)).astype(np.float32)
            used = layer.get_submodule(DENSE_KEYS[name]).weight.detach().numpy()
            np.testing.assert_array_equal(values.T, used)
            moved |= not np.array_equal(dense.codes, start.dense[name].codes)
        moved |= exact.activations != start.activations
    assert moved


@EVERY_MODE
def test_evaluation_is_golden_s(chosen: Mode) -> None:
    """One wrong code would move a vector a thousand times further than its rounding."""
    model = quantized(chosen)
    step(model)
    model.fit()
    model.eval()
    encoder = quantized_encoder(exported(model), golden_backend)
    for ids in SENTENCES:
        got = model.sentence_vectors(torch.tensor([ids]), torch.ones(1, len(ids), dtype=torch.long))
        np.testing.assert_allclose(
            got.detach().numpy(), encoder.sentence_vectors([ids]), rtol=0, atol=1e-6
        )


@EVERY_MODE
@pytest.mark.parametrize("size", [0, 1e-40, 1e-9])
def test_zeros_and_tiny_weights_train_and_are_golden_s(chosen: Mode, size: float) -> None:
    model = quantized(chosen, size, learned=True)
    start = model.start.layers[1].dense
    for name, dense in exported(model).layers[1].dense.items():
        assert (dense.scale, dense.format) == (start[name].scale, start[name].format)
    step(model)
    model.fit()
    model.eval()
    encoder = quantized_encoder(exported(model), golden_backend)
    got = model.sentence_vectors(torch.tensor([[1, 5, 9, 2]]), torch.ones(1, 4, dtype=torch.long))
    np.testing.assert_allclose(
        got.detach().numpy(), encoder.sentence_vectors([[1, 5, 9, 2]]), rtol=0, atol=1e-6
    )


def test_training_moves_all_but_the_tables() -> None:
    model = quantized(mode("wlog-alog"), learned=True)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    step(model)
    still = {name for name, p in model.named_parameters() if torch.equal(p, before[name])}
    tables = {
        f"bert.embeddings.{table}_embeddings.weight" for table in ("word", "position", "token_type")
    }
    # The bias of keys adds a constant to all scores of a query, which softmax ignores.
    assert {name for name in still if not name.endswith("self.key.bias")} == tables


def test_an_export_does_not_train_on() -> None:
    model = quantized(mode("w8a8"))
    layer = exported(model).layers[0]
    bias, gain = layer.dense["ffn1"].bias.copy(), layer.output_norm.weight.copy()
    step(model)
    np.testing.assert_array_equal(layer.dense["ffn1"].bias, bias)
    np.testing.assert_array_equal(layer.output_norm.weight, gain)
    assert not np.array_equal(exported(model).layers[0].dense["ffn1"].bias, bias)


def test_padding_takes_no_part() -> None:
    model = quantized(mode("w8a8")).eval()
    short = model.sentence_vectors(torch.tensor([[1, 5, 9, 2]]), torch.ones(1, 4, dtype=torch.long))
    padded = model.sentence_vectors(
        torch.tensor([[1, 5, 9, 2, 7, 7]]), torch.tensor([[1, 1, 1, 1, 0, 0]])
    )
    torch.testing.assert_close(padded, short, rtol=0, atol=1e-6)


def test_activations_follow_the_largest_and_freeze() -> None:
    quantizer = ActivationQuantizer(Linear(8), 127 / 2.0)
    clips = [2.0]
    for largest in (3.0, 1.0, 5.0):
        quantizer(torch.tensor([0.5, -largest]))
        clips.append(127 / float(quantizer.scale))
    for (old, new), largest in zip(pairwise(clips), (3.0, 1.0, 5.0), strict=True):
        assert new == pytest.approx(old + MOMENTUM * (largest - old), rel=1e-12)
    quantizer.eval()
    quantizer(torch.tensor([50.0]))
    assert 127 / float(quantizer.scale) == clips[-1]


def test_a_weight_s_ratio_survives_its_state() -> None:
    weight = torch.from_numpy(
        np.random.default_rng(3).standard_normal((40, 40)).astype(np.float32) ** 3
    )
    fitted, restored = WeightQuantizer(Piecewise()), WeightQuantizer(Piecewise())
    fitted.fit(weight)
    assert (fitted.format, float(fitted.scale)) == search_piecewise(weight.numpy())
    assert fitted.format != Piecewise()
    restored.load_state_dict(fitted.state_dict())
    assert torch.equal(restored(weight), fitted(weight))


def test_learned_scales_are_found() -> None:
    model = quantized(mode("w4a4"), learned=True)
    assert len(parameters_of_scales(model)) == CONFIG.layers * 9
    assert parameters_of_scales(quantized(mode("w4a4"))) == []
