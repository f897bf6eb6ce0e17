"""The encoder against transformers, and its quantized products against integer arithmetic."""

import math

import numpy as np
import pytest

from golden.bert.calibration import calibration_sentences, quantize_model
from golden.bert.encoder import cosine, embed, float_encoder
from golden.bert.functions import erf, gelu, layer_norm, softmax
from golden.bert.quantized import QuantizedProducts, quantized_encoder
from golden.bert.tokens import Tokenizer
from golden.bert.weights import Norm, model_folder, read_weights
from golden.numeric.codec import decode
from golden.numeric.quantize import quantize
from golden.schedule.backend import golden_backend
from golden.spec.formats import Linear, Log2
from golden.spec.modes import mode
from tests.support import tiny

TEXTS = [
    "The cat sleeps.",
    "A man is playing the guitar on a crowded platform while he waits for the last train home.",
    "Zeugma!",
    " ".join(["Rain, wind and more rain: nobody left the house."] * 9),
]
MODES = [
    ("w8a8", 4),
    ("w4a8", 4),
    ("w4a4", 4),
    ("wlog-a8", 3),
    ("wlog-a8", 5),
    ("wlog-alog", 4),
    ("wpw-a8", 4),
]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer()


@pytest.fixture(scope="module")
def weights():
    return read_weights()


@pytest.fixture(scope="module")
def bert():
    import transformers

    return transformers.BertModel.from_pretrained(
        str(model_folder()), add_pooling_layer=False
    ).eval()


def reference_states(bert, ids):
    import torch

    with torch.no_grad():
        return bert(torch.tensor(ids)).last_hidden_state.numpy()


class Recorder:
    """golden_backend that records the jobs of each call."""

    def __init__(self):
        self.calls = []

    def __call__(self, jobs):
        self.calls.append(list(jobs))
        return golden_backend(jobs)


@pytest.mark.training
@pytest.mark.parametrize("text", TEXTS)
def test_states_equal_transformers(bert, weights, tokenizer, text):
    ids = [tokenizer.encode(text)]
    states = float_encoder(weights).hidden_states(ids)
    assert states.dtype == np.float32
    np.testing.assert_allclose(states, reference_states(bert, ids), rtol=0, atol=1e-5)


@pytest.mark.training
def test_batch_equals_transformers(bert, weights, tokenizer):
    rng = np.random.default_rng(2)
    ids = np.concatenate(
        [np.full((8, 1), 101), rng.integers(1000, 30522, (8, 20)), np.full((8, 1), 102)], axis=1
    )
    states = float_encoder(weights).hidden_states(ids)
    np.testing.assert_allclose(states, reference_states(bert, ids), rtol=0, atol=1e-5)
    single = float_encoder(weights).hidden_states(ids[3:4])
    np.testing.assert_allclose(states[3:4], single, rtol=0, atol=1e-5)


def test_host_functions():
    x = np.linspace(-6, 6, 3 * 20000, dtype=np.float32)
    exact = np.array([math.erf(value) for value in x.tolist()])
    np.testing.assert_allclose(erf(x), exact, rtol=0, atol=5e-7)
    halves = np.array([v / 2 * math.erfc(-v / math.sqrt(2)) for v in x.tolist()])
    np.testing.assert_allclose(gelu(x.reshape(3, -1)).ravel(), halves, rtol=0, atol=2e-6)
    np.testing.assert_allclose(
        softmax(np.float32([[1e4, 1e4], [0, math.log(3)]])), [[0.5, 0.5], [0.25, 0.75]], 1e-6
    )
    norm = Norm(np.float32([2, 2]), np.float32([0, 1]))
    np.testing.assert_allclose(layer_norm(np.float32([[3, 5]]), norm, 0), [[-2, 3]], 1e-6)
    np.testing.assert_allclose(
        cosine(np.float32([[1, 0], [3, 4]]), np.float32([[0, 2], [3, 4]])), [0, 1], 0, 1e-7
    )
    assert all(f(x).dtype == np.float32 for f in (erf, gelu, softmax))


def test_ids_errors(weights):
    encoder = float_encoder(tiny.tiny_weights())
    for ids in ([1, 2], [[]], np.ones((1, 17), int)):
        with pytest.raises(
            ValueError, match=r"^ids: expected \[B, S\] with S in 1\.\.16, got shape"
        ):
            encoder.hidden_states(ids)
    for ids in ([[50]], [[-1]], [[0.5]]):
        with pytest.raises(ValueError, match=r"^ids: expected integers in 0\.\.49, got"):
            encoder.hidden_states(ids)


def test_embed_orders_and_batches():
    encoder = float_encoder(tiny.tiny_weights())
    sequences = [*tiny.SENTENCES, tiny.SENTENCES[0], tiny.SENTENCES[1]]
    seen = []
    vectors = embed(
        encoder, sequences, batch=2, progress=lambda done, total: seen.append((done, total))
    )
    assert seen == [(1, 4), (3, 4), (4, 4)]
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-6)
    for vector, ids in zip(vectors, sequences, strict=True):
        np.testing.assert_allclose(vector, encoder.sentence_vectors([ids])[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("name", "exponent_bits"), MODES)
def test_jobs(name, exponent_bits):
    model = quantize_model(tiny.tiny_weights(), mode(name, exponent_bits), tiny.SENTENCES)
    recorder = Recorder()
    quantized_encoder(model, recorder).hidden_states([[1, 5, 9, 30, 2], [1, 6, 9, 30, 2]])
    heads = [f"{head}" for _ in range(2) for head in range(3)]
    expected = [
        ["query", "key", "value"],
        [f"scores/{head}" for head in heads],
        [f"context/{head}" for head in heads],
        ["output"],
        ["ffn1"],
        ["ffn2"],
    ]
    assert [[job.name for job in call] for call in recorder.calls] == expected * 2
    assert [call[0].layer for call in recorder.calls] == [0] * 6 + [1] * 6
    query, scores, context, output, ffn1, ffn2 = (call[0] for call in recorder.calls[:6])
    assert [job.shape for job in (query, scores, context, output, ffn1, ffn2)] == [
        (10, 24, 24),
        (5, 8, 5),
        (5, 5, 8),
        (10, 24, 24),
        (10, 24, 40),
        (10, 40, 24),
    ]
    assert {id(job.x) for job in recorder.calls[0]} == {id(query.x)}
    assert {job.mode.name for call in (1, 2) for job in recorder.calls[call]} == {"w8a8"}
    assert {job.mode.name for call in (0, 3, 4, 5) for job in recorder.calls[call]} == {name}
    assert [job.epilogue is None for job in (query, scores, context, output, ffn1, ffn2)] == [
        False,
        True,
        False,
        True,
        True,
        True,
    ]
    assert query.epilogue.bits == 8
    assert context.epilogue.bits == (4 if name == "w4a4" else 8)
    assert [job.bias is None for job in (query, scores, context, output)] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(("name", "exponent_bits"), MODES)
def test_products_by_hand(name, exponent_bits):
    """Products of one layer recomputed in integers; results differ by at most their last bit."""
    model = quantize_model(tiny.tiny_weights(), mode(name, exponent_bits), tiny.SENTENCES)
    products = QuantizedProducts(model, golden_backend)
    layer = model.layers[1]
    rng = np.random.default_rng(3)
    scale = {site: activation.scale for site, activation in layer.activations.items()}
    assert all(
        a.format == Linear(8)
        for site, a in layer.activations.items()
        if site in ("query", "probabilities")
    )

    def value(part):
        return decode(part.codes, part.format)

    def x_value(codes):
        return decode(codes, model.mode.x_format)

    x = rng.normal(size=(6, 24)).astype(np.float32)
    codes = quantize(x, model.mode.x_format, scale["hidden"])
    for part, site in zip(products.project(1, x), ("query", "key", "value"), strict=True):
        dense = layer.dense[site]
        unit = scale["hidden"] * dense.scale
        real = (x_value(codes) @ value(dense) + np.rint(dense.bias * unit)) / unit
        assert part.dtype == np.int8
        assert np.abs(part - np.clip(real * scale[site], -127, 127)).max() <= 0.51

    query, key, attended = (rng.integers(-127, 128, (2, 3, 3, 8)).astype(np.int8) for _ in range(3))
    sums = np.einsum("bhik,bhjk->bhij", query.astype(int), key.astype(int))
    scores = products.scores(1, query, key)
    np.testing.assert_allclose(scores, sums / (scale["query"] * scale["key"]), rtol=1e-6)

    probabilities = softmax(rng.normal(size=(2, 3, 3, 3)).astype(np.float32))
    p_codes = quantize(probabilities, Linear(8), scale["probabilities"])
    real = np.einsum("bhij,bhjk->bhik", p_codes.astype(int), attended.astype(int))
    real = real / (scale["probabilities"] * scale["value"])
    context = products.context(1, probabilities, attended)
    if isinstance(model.mode.x_format, Log2):
        rounded = np.clip(np.floor(real * scale["context"] + 0.5), -127, 127) / scale["context"]
        agreeing = context == quantize(rounded, model.mode.x_format, scale["output"])
        assert agreeing.mean() > 0.98  # the 15-bit factor may round a tie's neighbour differently
    else:
        largest = model.mode.x_format.max_value
        assert np.abs(context - np.clip(real * scale["output"], -largest, largest)).max() <= 0.51

    joined = context.swapaxes(1, 2).reshape(6, 24)
    for site, given in (
        ("output", joined),
        ("ffn1", x),
        ("ffn2", rng.normal(size=(6, 40)).astype(np.float32)),
    ):
        dense = layer.dense[site]
        codes = given if site == "output" else quantize(given, model.mode.x_format, scale[site])
        unit = scale[site] * dense.scale
        real = (x_value(codes) @ value(dense) + np.rint(dense.bias * unit)) / unit
        np.testing.assert_allclose(products.dense(site, 1, given), real, rtol=1e-6, atol=1e-6)


def test_scale_per_column():
    model = quantize_model(tiny.tiny_weights(), mode("w8a8"), tiny.SENTENCES)
    layer = model.layers[0]
    columns = {}
    for name, dense in layer.dense.items():
        scale = np.full(dense.bias.shape, dense.scale)
        object.__setattr__(dense, "scale", scale)
        columns[name] = scale
    states = quantized_encoder(model, golden_backend).hidden_states([[1, 5, 2]])
    whole = quantize_model(tiny.tiny_weights(), mode("w8a8"), tiny.SENTENCES)
    np.testing.assert_array_equal(
        states, quantized_encoder(whole, golden_backend).hidden_states([[1, 5, 2]])
    )


def test_bias_out_of_reach():
    weights = tiny.tiny_weights()
    model = quantize_model(weights, mode("w8a8"), tiny.SENTENCES)
    model.layers[0].dense["ffn1"].bias[3] = 1e9
    with pytest.raises(
        ValueError, match=r"^layers\.0\.ffn1\.bias: expected at most 2147483647 in units"
    ):
        quantized_encoder(model, golden_backend)


def test_quantized_similarity(weights, tokenizer):
    """All-MiniLM in 8 bits ranks similarities as in float32; batches equal single sentences."""
    calibration = tokenizer.encode_all(calibration_sentences()[:16])
    model = quantize_model(weights, mode("w8a8"), calibration)
    recorder = Recorder()
    encoder = quantized_encoder(model, recorder)
    texts = [
        "A man is playing a guitar.",
        "A man plays the guitar.",
        "The stock market fell today.",
    ]
    sequences = tokenizer.encode_all(texts)
    exact = embed(float_encoder(weights), sequences)
    vectors = embed(encoder, sequences)
    assert cosine(vectors, exact).min() > 0.95
    assert cosine(vectors[0], vectors[1]) > 0.8 > 0.3 > cosine(vectors[0], vectors[2])

    recorder.calls.clear()
    batch = np.array([sequences[0], [101, 2002, 3248, 1996, 2858, 2651, 1012, 1012, 102]])
    together = encoder.hidden_states(batch)
    calls, recorder.calls = recorder.calls, []
    alone = encoder.hidden_states(batch[:1])
    np.testing.assert_array_equal(together[:1], alone)
    for both, one in zip(calls, recorder.calls, strict=True):
        for first, second in zip(both, one, strict=False):
            np.testing.assert_array_equal(first.x[: len(second.x)], second.x)
            np.testing.assert_array_equal(first.w, second.w)
    np.testing.assert_array_equal(
        encoder.sentence_vectors(batch)[:1], encoder.sentence_vectors(batch[:1])
    )
