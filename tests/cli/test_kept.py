"""Kept batches: their keys, how they are written, and what happens to damaged ones."""

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from golden.bert.calibration import quantize_model
from golden.bert.quantized import QuantizedModel
from golden.spec.modes import mode
from scripts.eval.kept import Batches
from scripts.files import write_array, write_text
from sim import sources
from sim.backend import Tally
from tests.support import tiny
from tests.support.disk import largest_file
from tests.support.jobs import config

GROUP = [(1, 5, 9, 2), (1, 44, 7, 2)]
TALLY = Tally(jobs=3, products=400, results=20, mismatches=0, cycles=123, busy=7.25, first="")
CONFIG = config("w8a8", rows=2, cols=2)
VERILOG = "4" * 64


@pytest.fixture(scope="module")
def model() -> QuantizedModel:
    return quantize_model(tiny.tiny_weights(), mode("w8a8"), tiny.SENTENCES)


def vectors(seed: int = 1) -> np.ndarray:
    return (
        np.random.default_rng(seed).normal(size=(len(GROUP), tiny.CONFIG.hidden)).astype(np.float32)
    )


def batches(folder: Path, model: QuantizedModel) -> Batches:
    return Batches(folder, model, CONFIG, VERILOG)


def only_file(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def test_a_batch_comes_back(
    model: QuantizedModel, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "keep" / "deep"
    subject = batches(folder, model)
    assert subject.read(GROUP) is None
    subject.write(GROUP, vectors(), TALLY)
    found = batches(folder, model).read(GROUP)
    assert found is not None
    assert np.array_equal(found[0], vectors())
    assert found[1] == TALLY
    assert subject.read(GROUP[:1]) is None
    assert only_file(folder).suffix == ".npz"
    assert capfd.readouterr() == ("", "")


def changed_models(model: QuantizedModel) -> dict[str, QuantizedModel]:
    """The model with one thing changed: a code, a bias, a scale, a norm, an embedding, its mode."""
    layer = model.layers[1]
    dense = layer.dense["ffn1"]
    codes = dense.codes.copy()
    codes[3, 4] ^= 1
    site = layer.activations["hidden"]
    table = model.tables["word"]
    words = table.codes.copy()
    words[-1, 0] ^= 1
    norm = replace(layer.output_norm, bias=layer.output_norm.bias + np.float32(1))

    def with_layer(**changes: object) -> QuantizedModel:
        return replace(model, layers=(model.layers[0], replace(layer, **changes)))

    def with_dense(**changes: object) -> QuantizedModel:
        return with_layer(dense={**layer.dense, "ffn1": replace(dense, **changes)})

    return {
        "a code": with_dense(codes=codes),
        "a bias": with_dense(bias=np.nextafter(dense.bias, np.float32(9))),
        "a scale": with_dense(scale=dense.scale * 2),
        "an activation": with_layer(
            activations={**layer.activations, "hidden": replace(site, scale=9.0)}
        ),
        "a norm": with_layer(output_norm=norm),
        "an embedding": replace(
            model, tables={**model.tables, "word": replace(table, codes=words)}
        ),
        "another mode": quantize_model(tiny.tiny_weights(), mode("w4a8"), tiny.SENTENCES),
    }


CHANGED = ("a code", "a bias", "a scale", "an activation", "a norm", "an embedding", "another mode")


@pytest.mark.slow
@pytest.mark.parametrize("what", CHANGED)
def test_another_model_has_other_batches(what: str, model: QuantizedModel, tmp_path: Path) -> None:
    batches(tmp_path, model).write(GROUP, vectors(), TALLY)
    other = batches(tmp_path, changed_models(model)[what])
    assert other.read(GROUP) is None
    other.write(GROUP, vectors(2), TALLY)
    assert np.array_equal(batches(tmp_path, model).read(GROUP)[0], vectors())


def test_an_equal_model_has_the_same_batches(model: QuantizedModel, tmp_path: Path) -> None:
    """Whatever file it is read from."""
    batches(tmp_path, model).write(GROUP, vectors(), TALLY)
    again = quantize_model(tiny.tiny_weights(), mode("w8a8"), tiny.SENTENCES)
    assert batches(tmp_path, again).read(GROUP) is not None


def test_another_build_or_verilog_has_other_batches(model: QuantizedModel, tmp_path: Path) -> None:
    batches(tmp_path, model).write(GROUP, vectors(), TALLY)
    assert Batches(tmp_path, model, config("w8a8", rows=2, cols=3), VERILOG).read(GROUP) is None
    assert Batches(tmp_path, model, CONFIG, "5" * 64).read(GROUP) is None
    assert batches(tmp_path, model).read(GROUP[::-1]) is None


def test_other_code_has_other_batches(
    model: QuantizedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    batches(tmp_path, model).write(GROUP, vectors(), TALLY)
    monkeypatch.setattr(sources, "digest", lambda *modules: "6" * 64)
    assert batches(tmp_path, model).read(GROUP) is None


# Two processes that keep the same batch.


def test_a_batch_is_written_while_another_writes_it(
    model: QuantizedModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second begins and ends between the first one's last byte and its move."""
    original, inside = os.replace, []

    def replace_(source: str, target: str) -> None:
        if not inside:
            inside.append(True)
            batches(tmp_path, model).write(GROUP, vectors(2), TALLY)
        original(source, target)

    monkeypatch.setattr(os, "replace", replace_)
    batches(tmp_path, model).write(GROUP, vectors(1), TALLY)
    assert inside
    assert np.array_equal(batches(tmp_path, model).read(GROUP)[0], vectors(1))
    assert only_file(tmp_path)


# Damage.


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-60])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[content.index(vectors().tobytes())] ^= 1
    path.write_bytes(content)


def text(path: Path) -> None:
    path.write_text("no archive\n")


def other_batch(path: Path) -> None:
    """That of other sentences, under this one's name."""
    with np.load(path) as file:
        content = dict(file)
    np.savez(path, **{**content, "key": "0" * 64})


def other_shape(path: Path) -> None:
    with np.load(path) as file:
        content = dict(file)
    np.savez(path, **{**content, "vectors": vectors()[:1]})


def other_type(path: Path) -> None:
    with np.load(path) as file:
        content = dict(file)
    np.savez(path, **{**content, "cycles": "many"})


def no_tally(path: Path) -> None:
    """As an archive of something else."""
    np.savez(path, vectors=vectors())


def huge(path: Path) -> None:
    """An archive of 300 bytes whose array claims 1 TiB."""
    import zipfile

    header = (
        b"{'descr': '<f4', 'fortran_order': False, 'shape': (1048576, 262144), }".ljust(117) + b"\n"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("key.npy", b"\x93NUMPY\1\0" + len(header).to_bytes(2, "little") + header)


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (cut, "File is not a zip file"),
        (empty, "File is not a zip file"),
        (flip, "Bad CRC-32 for file 'vectors.npy'"),
        (text, "File is not a zip file"),
        (other_batch, "of something else"),
        (other_shape, "expected float32 (2, 24), got float32 (1, 24)"),
        (other_type, "cycles: expected <class 'int'>, got 'many'"),
        (no_tally, "'key'"),
        (huge, "a header for 1099511627776 bytes before 0"),
    ],
)
def test_a_damaged_batch_is_said_and_not_used(
    damage: object,
    reason: str,
    model: QuantizedModel,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    subject = batches(tmp_path, model)
    subject.write(GROUP, vectors(), TALLY)
    path = only_file(tmp_path)
    damage(path)
    assert subject.read(GROUP) is None
    assert capfd.readouterr() == ("", f"tilebert: {path}: damaged, is computed again ({reason})\n")
    subject.write(GROUP, vectors(), TALLY)
    assert subject.read(GROUP) is not None


# A disk without room.


def write_batch(folder: Path, model: QuantizedModel) -> None:
    batches(folder, model).write(GROUP, vectors(), TALLY)


WRITERS = {
    "--keep": write_batch,
    "-o": lambda folder, model: write_array(folder / "y.npy", "-o", np.ones((100, 100))),
    "--json": lambda folder, model: write_text(folder / "x.json", "--json", "1" * 10_000),
}


@pytest.mark.parametrize("option", WRITERS)
def test_a_full_disk_is_named_and_nothing_is_left(
    option: str, model: QuantizedModel, tmp_path: Path
) -> None:
    with (
        largest_file(1000),
        pytest.raises(
            ValueError, match=rf"^{option}: expected a writable place, got .* \(File too large\)$"
        ),
    ):
        WRITERS[option](tmp_path, model)
    assert not list(tmp_path.iterdir())
