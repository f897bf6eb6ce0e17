"""Heads: outputs of mean states, pairs with kinds, files and metrics."""

import dataclasses

import numpy as np
import pytest

from golden.bert import checkpoint
from golden.bert.calibration import quantize_model
from golden.bert.encoder import float_encoder
from golden.bert.head import Head, evaluate_head, metrics, predictions
from golden.bert.quantized import quantized_encoder
from golden.bert.tokens import Tokenizer, Tokens
from golden.schedule.backend import golden_backend
from golden.spec.formats import Linear
from golden.spec.modes import mode
from golden.tasks.glue import TASKS, Example
from golden.tasks.metrics import accuracy, f1, matthews
from tests.support.tiny import CONFIG, SENTENCES, tiny_weights

TEXTS = [
    Tokens((1, 5, 9, 2), (0, 0, 0, 0)),
    Tokens((1, 44, 2, 7, 2), (0, 0, 0, 1, 1)),
    Tokens((1, 5, 9, 2), (0, 0, 1, 1)),
    Tokens((1, 7, 7, 30, 2), (0, 0, 1, 1, 1)),
    Tokens((1, 44, 2), (0, 0, 0)),
]


def head(task: str = "rte", seed: int = 2) -> Head:
    rng = np.random.default_rng(seed)
    outputs = TASKS[task].outputs
    return Head(
        task,
        rng.normal(size=(CONFIG.hidden, outputs)).astype(np.float32),
        rng.normal(size=outputs).astype(np.float32),
    )


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_outputs_one_by_one(batch: int) -> None:
    encoder = float_encoder(tiny_weights())
    calls = []
    got = evaluate_head(
        encoder, head(), TEXTS, batch, lambda done, total: calls.append((done, total))
    )
    for text, row in zip(TEXTS, got, strict=True):
        states = encoder.hidden_states([text.ids], [text.kinds])[0]
        np.testing.assert_allclose(
            row, states.mean(axis=0) @ head().weight + head().bias, rtol=0, atol=1e-5
        )
    assert calls[-1] == (5, 5)


def test_kinds_count() -> None:
    encoder = float_encoder(tiny_weights())
    plain = encoder.hidden_states([TEXTS[2].ids])
    np.testing.assert_array_equal(encoder.hidden_states([TEXTS[2].ids], [[0, 0, 0, 0]]), plain)
    assert not np.allclose(encoder.hidden_states([TEXTS[2].ids], [TEXTS[2].kinds]), plain)


@pytest.mark.parametrize("kinds", [[[0, 0]], [[0, 0, 2, 0]], [[0.0, 0.0, 0.0, 0.0]]])
def test_kinds_that_do_not_fit(kinds: list) -> None:
    with pytest.raises(ValueError, match=r"^kinds: expected 0 and 1 of shape \(1, 4\), got "):
        float_encoder(tiny_weights()).hidden_states([[1, 5, 9, 2]], kinds)


def test_predictions() -> None:
    outputs = np.array([[1, 2], [3, 3], [5, -1]], np.float32)
    assert predictions(outputs, TASKS["rte"]).tolist() == [1, 0, 0]
    assert predictions(np.array([[0.5], [1.0]], np.float32), TASKS["sts-b"]).tolist() == [2.5, 5]


def test_metrics_by_hand() -> None:
    assert accuracy([1, 0, 1, 1], [1, 0, 0, 1]) == 0.75
    # 2 hits, 3 predicted, 4 true: precision 2/3, recall 1/2.
    assert f1([1, 1, 1, 0, 0], [1, 1, 0, 1, 1]) == pytest.approx(2 / (3 / 2 + 2))
    assert f1([0, 0], [0, 0]) == 0
    # 2 true positives, 1 true negative, 1 false positive, 1 false negative.
    assert matthews([1, 1, 1, 0, 0], [1, 1, 0, 1, 0]) == pytest.approx(
        (2 * 1 - 1 * 1) / np.sqrt(3 * 3 * 2 * 2)
    )
    assert matthews([1, 1, 1], [1, 0, 1]) == 0
    examples = [Example("a", "b", label) for label in (1, 0, 0, 1)]
    assert metrics(TASKS["mrpc"], [1, 0, 1, 1], examples) == {
        "f1": pytest.approx(80),
        "accuracy": 75,
    }
    with pytest.raises(
        ValueError, match=r"^samples: expected two of one length, got shapes \(1,\) and \(2,\)$"
    ):
        accuracy([1], [1, 0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "mnli"}, r"^task: expected one of sts-b, .*, got 'mnli'$"),
        ({"task": "sts-b"}, r"^head.weight: expected float32 \(24, 1\), got float32 \(24, 2\)$"),
        (
            {"bias": np.zeros(3, np.float32)},
            r"^head.bias: expected float32 \(2,\), got float32 \(3,\)$",
        ),
        (
            {"weight": np.zeros((24, 2))},
            r"^head.weight: expected float32 \(24, 2\), got float64 \(24, 2\)$",
        ),
    ],
)
def test_a_head_that_does_not_fit(change: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(head(), **change)


def test_a_head_in_a_checkpoint(tmp_path) -> None:
    model = dataclasses.replace(
        quantize_model(tiny_weights(), mode("w8a8"), SENTENCES), head=head()
    )
    checkpoint.save(model, tmp_path / "rte.safetensors", embeddings=True)
    loaded = checkpoint.load(tmp_path / "rte.safetensors")
    assert loaded.head is not None
    assert loaded.head.task == "rte"
    outputs = [
        evaluate_head(quantized_encoder(each, golden_backend), each.head, TEXTS)
        for each in (model, loaded)
    ]
    np.testing.assert_array_equal(*outputs)


def test_six_bits_ride_in_eight(tmp_path) -> None:
    model = quantize_model(tiny_weights(), mode("w8a8"), SENTENCES, bits=6)
    checkpoint.save(model, tmp_path / "six.safetensors", embeddings=True)
    loaded = checkpoint.load(tmp_path / "six.safetensors")
    assert loaded.mode == mode("w8a8")
    for layer in loaded.layers:
        assert {dense.format for dense in layer.dense.values()} == {Linear(6)}
        assert max(np.abs(dense.codes).max() for dense in layer.dense.values()) == 31
        formats = {site: activation.format for site, activation in layer.activations.items()}
        assert {formats[site] for site in ("hidden", "output", "ffn1", "ffn2")} == {Linear(6)}
        assert {
            formats[site] for site in ("query", "key", "value", "probabilities", "context")
        } == {Linear(8)}
    encoder = quantized_encoder(loaded, spy := Spy())
    encoder.hidden_states([[1, 5, 9, 2]])
    # The requantizer clamps to 8 bits, so the codes of `output` come from the host.
    assert spy.largest["output"] <= 31 < spy.largest["scores/0"]


class Spy:
    """golden_backend that records the largest code of x by GEMM."""

    def __init__(self) -> None:
        self.largest: dict[str, int] = {}

    def __call__(self, jobs):
        for job in jobs:
            largest = int(np.abs(job.x.astype(int)).max())
            self.largest[job.name] = max(self.largest.get(job.name, 0), largest)
        return golden_backend(jobs)


def test_bits_of_weights_alone() -> None:
    """In w4a8 activations stay 8 bits wide."""
    layer = quantize_model(tiny_weights(), mode("w4a8"), SENTENCES, bits=3).layers[0]
    assert {dense.format for dense in layer.dense.values()} == {Linear(3)}
    assert {activation.format for activation in layer.activations.values()} == {Linear(8)}
    with pytest.raises(
        ValueError, match=r"^bits: expected none in wlog-alog, which has no linear codes, got 8$"
    ):
        quantize_model(tiny_weights(), mode("wlog-alog"), SENTENCES, bits=8)


@pytest.mark.parametrize(("name", "bits"), [("w8a8", 4), ("w8a8", 9), ("w4a4", 5), ("w4a8", 6)])
def test_bits_that_do_not_fit(name: str, bits: int) -> None:
    with pytest.raises(ValueError, match=rf"^bits: expected \d\.\.\d in {name}, got {bits}$"):
        quantize_model(tiny_weights(), mode(name), SENTENCES, bits=bits)


def test_pairs_as_one_text() -> None:
    tokenizer = Tokenizer()
    text = tokenizer.read("A dog.", "Cats sit.")
    first, second = tokenizer.encode("A dog."), tokenizer.encode("Cats sit.")
    assert text.ids == (*first, *second[1:])
    assert text.kinds == (0,) * len(first) + (1,) * (len(second) - 1)
    assert tokenizer.read("A dog.") == (tuple(first), (0,) * len(first))
    with pytest.raises(ValueError, match=r"^text: expected at least one word, got ' '$"):
        tokenizer.read("A dog.", " ")
    with pytest.warns(UserWarning, match=r"^text cut to 10 tokens: "):
        assert (
            len(Tokenizer(max_tokens=10).read("One two three four five.", "Six seven eight.").ids)
            == 10
        )
