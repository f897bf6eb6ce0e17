"""`tilebert train` on small files written here: its output and its errors."""

import json
import os
import re
from pathlib import Path

import numpy as np
import pytest
import torch

from golden.bert import checkpoint
from golden.spec.modes import mode
from scripts import console
from scripts.cli import run
from tests.support.glue_files import write_glue
from tests.support.refusal import refused

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared cache, so that each FP32 model is trained once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with glue/ and damaged copies of it."""
    write_glue(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(console, "_told", set())
    monkeypatch.setenv("TILEBERT_CACHE", str(cache))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def test_similarity(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = (
        "train --task similarity --glue glue --mode wlog-a8 --exponent-bits 3 -o log.safetensors"
    )
    assert run(f"{command} --epochs 2 --json log.json".split()) == 0
    out, err = capfd.readouterr()
    record = json.loads((folder / "log.json").read_text())
    assert record["agreement"] == {"examples": 6, "same": 6, "largest": pytest.approx(0, abs=1e-5)}
    assert record["fp32"]["pearson"] > 90
    assert record["trained"]["pearson"] > 80
    assert f"trained pearson {record['trained']['pearson']:.2f}" in out
    lines = err.splitlines()
    assert lines.pop(6).startswith("after epoch 1: pearson ")
    # Without a terminal each stage prints a line instead of a progress bar.
    assert lines == [
        "fine-tuning similarity in fp32",
        "evaluating similarity",
        "asking the teacher",
        "calibrating",
        "training similarity in wlog-a8",
        "evaluating similarity",
        "training similarity in wlog-a8",
        "evaluating similarity",
        "comparing golden with PyTorch",
    ]
    assert checkpoint.load(folder / "log.safetensors").mode == mode("wlog-a8", 3)
    # eval of the checkpoint finds the reported metrics.
    words = (
        "eval --task sts-b --glue glue --mode wlog-a8 --exponent-bits 3 "
        "--checkpoint log.safetensors --json e.json"
    )
    assert run(words.split()) == 0
    assert json.loads((folder / "e.json").read_text())["pearson"] == record["trained"]["pearson"]
    assert sorted(path.name for path in folder.iterdir() if "log" in path.name) == [
        "log.json",
        "log.safetensors",
    ]


def test_a_head(folder: Path, cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = (
        "train --task rte --glue glue --mode w8a8 --bits 6 --no-clip --plain "
        "-o six.safetensors --json six.json"
    )
    assert run(command.split()) == 0
    out, _ = capfd.readouterr()
    record = json.loads((folder / "six.json").read_text())
    assert record["agreement"] == {"examples": 6, "same": 6, "largest": pytest.approx(0, abs=1e-4)}
    assert "6 of 6 predictions of golden are the trained model's" in out
    model = checkpoint.load(folder / "six.safetensors")
    assert model.head is not None
    assert model.head.task == "rte"
    assert (
        max(np.abs(dense.codes).max() for layer in model.layers for dense in layer.dense.values())
        == 31
    )
    assert (
        run(
            [
                "eval",
                "--task",
                "rte",
                "--glue",
                "glue",
                "--checkpoint",
                "six.safetensors",
                "--json",
                "e.json",
            ]
        )
        == 0
    )
    out, _ = capfd.readouterr()
    assert json.loads((folder / "e.json").read_text())["accuracy"] == record["trained"]["accuracy"]
    assert f"{record['trained']['accuracy']:.2f}" in out
    # A damaged FP32 model in the cache is made again.
    (place,) = (cache / "training").glob("rte-*")
    os.truncate(place / "model.safetensors", 4096)
    assert run(command.split()) == 0
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("tilebert: ")]
    assert len(told) == 1
    assert told[0].startswith(f"tilebert: {place / 'model.safetensors'}: not a safetensors file")
    assert told[0].endswith("; trained again")
    again = json.loads((folder / "six.json").read_text())
    del record["seconds"], again["seconds"]
    assert again == record


def test_a_stop_at_the_comparison_resumes_at_the_evaluation(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from train import agreement, loop
    from train.quantizers import WeightQuantizer

    command = "train --task rte --glue glue --from-scratch --limit 4 -o x.safetensors --json x.json"
    calls: list[object] = []
    fractions: list[float] = []
    forward, compare = WeightQuantizer.forward, agreement.agreement

    def counted(self: WeightQuantizer, weight: torch.Tensor) -> torch.Tensor:
        calls.append(self)
        return forward(self, weight)

    def watched(*arguments: object) -> object:
        calls.clear()
        return compare(*arguments[:-1], fractions.append)

    with monkeypatch.context() as patch:
        patch.setattr(WeightQuantizer, "forward", counted)
        patch.setattr(agreement, "agreement", watched)
        assert run(command.split()) == 0
    # The comparison quantizes every weight once. It reports progress for each example of the
    # trained model and then of golden's.
    assert len(calls) == len(set(calls)) == 6 * 6
    assert fractions[:4] == [1 / 8, 2 / 8, 3 / 8, 4 / 8]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    whole = json.loads((folder / "x.json").read_text())
    assert "fp32" not in whole
    assert whole["agreement"]["examples"] == 4
    parts = weights_of(folder / "x.safetensors")
    for name in ("x.json", "x.safetensors"):
        (folder / name).unlink()

    def stopped(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(agreement, "agreement", stopped)
        assert run(command.split()) == 130
    assert capfd.readouterr().err.endswith("comparing golden with PyTorch\ntilebert: interrupted\n")
    assert (folder / "x.safetensors.state").exists()
    assert not (folder / "x.json").exists()
    # No step is repeated.
    monkeypatch.setattr(loop, "_step", None)
    assert run(command.split()) == 0
    again = json.loads((folder / "x.json").read_text())
    del whole["seconds"], again["seconds"]
    assert again == whole
    for name, codes in weights_of(folder / "x.safetensors").items():
        np.testing.assert_array_equal(codes, parts[name])
    assert not (folder / "x.safetensors.state").exists()


def weights_of(path: Path) -> dict[tuple[int, str], np.ndarray]:
    layers = checkpoint.load(path).layers
    return {
        (index, name): d.codes
        for index, layer in enumerate(layers)
        for name, d in layer.dense.items()
    }


def test_broken_rows_and_a_damaged_state_are_told_once(
    folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "x.safetensors.state").write_bytes(b"")
    words = ["train", "--task", "qqp", "--glue", "glue", "--from-scratch", "-o", "x.safetensors"]
    assert run(words) == 0
    told = [line for line in capfd.readouterr().err.splitlines() if line.startswith("tilebert: ")]
    assert told[:2] == [
        f"tilebert: glue/QQP/{split}.tsv: 2 of 4 rows skipped, the first: glue/QQP/{split}.tsv:3: "
        "expected 6 columns, got 4"
        for split in ("train", "dev")
    ]
    assert told[2].startswith(
        "tilebert: x.safetensors.state: expected a training's state, got a damaged file ("
    )
    assert told[2].endswith("; training begins anew")
    assert len(told) == 3


def test_help_says_what_epochs_apply_to(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--help"]) == 0
    text = " ".join(re.sub(r"[^\w\s,.;]", " ", capfd.readouterr().out).split())
    assert "Passes of the quantized model over the data, a fraction included" in text
    assert "Fine tuning in FP32 before it always takes its own, 3 or 4." in text


def test_a_loss_that_is_no_number(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from train.objectives import Headed

    monkeypatch.setattr(Headed, "loss", lambda self, features, labels: features.sum() * torch.nan)
    assert (
        run(["train", "--task", "rte", "--glue", "glue", "--from-scratch", "-o", "x.safetensors"])
        == 1
    )
    out, err = capfd.readouterr()
    assert out == ""
    assert err == (
        "calibrating\ntraining rte in w8a8\n"
        "tilebert: loss: expected a number, got nan in step 1 of 1\n"
    )
    assert not (folder / "x.safetensors").exists()


CASES = {
    "no folder": ("--task rte --glue gone", "--glue: gone: expected RTE/train.tsv, found none"),
    "no such task's": (
        "--task cola --glue empty",
        "--glue: empty: expected CoLA/train.tsv, found none",
    ),
    "a row": (
        "--task rte --glue short",
        "--glue: short/RTE/train.tsv:8: expected 3 columns, got 2",
    ),
    "task": (
        "--task mnli --glue glue",
        "--task: expected one of similarity, sts-b, mrpc, rte, cola, sst-2, qnli",
    ),
    "mode": (
        "--task rte --glue glue --mode w2a2",
        "--mode: expected one of w8a8, w4a8, w4a4, wlog-a8, wlog-alog, ",
    ),
    "bits": ("--task rte --glue glue --mode w4a8 --bits 6", "bits: expected 2..4 in w4a8, got 6"),
    "epochs": ("--task rte --glue glue --epochs 0", "--epochs: expected a number above 0, got 0"),
    "rate": ("--task rte --glue glue --rate 1", "--rate: expected a number between 0 and 1, got 1"),
    "limit": ("--task rte --glue glue --limit 1", "--limit: expected 2 examples or more, got 1"),
    "scores all equal": (
        "--task sts-b --glue equal",
        "--glue: equal/STS-B: expected examples of dev with different scores, got 2.5 in all 6",
    ),
    "the first scores equal": (
        "--task similarity --glue alike --limit 3",
        "--glue: alike/STS-B: expected first 3 examples of dev with different scores, "
        "got 2.5 in all 3",
    ),
    "device": ("--task rte --glue glue --device tpu", "--device: expected cpu or cuda, got 'tpu'"),
    "output": (
        "--task rte --glue glue -o gone/x.safetensors",
        "--output: expected a file in an existing folder",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_train_names_what_is_wrong(
    case: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    options, message = CASES[case]
    before = sorted(folder.rglob("*"))
    place = "" if "-o " in options else " -o x.safetensors"
    refused(f"train {options}{place}".split(), message, capfd)
    assert sorted(folder.rglob("*")) == before
