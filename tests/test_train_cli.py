"""`tilebert train` and `tilebert table` on rows written for this test, and what they say about wrong input."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from refusal import refused

from golden import checkpoint
from golden.modes import mode
from scripts import grid
from scripts.cli import run
from scripts.grid import Cell
from scripts.table import BEGIN, END

pytestmark = pytest.mark.slow

RTE = """\
sentence1\tsentence2\tlabel
A baker puts the bread into the oven.\tThere is bread in the oven.\tentailment
Two boys in red play chess.\tNobody plays.\tnot_entailment
The river froze last night.\tThe river is frozen.\tentailment
A woman paints a fence.\tA man paints a wall.\tnot_entailment
The bus leaves at noon.\tA bus leaves.\tentailment
Rain is expected on Sunday.\tSunday will be dry.\tnot_entailment
"""

STS = """\
A baker puts the bread into the oven.,The baker is putting bread in an oven.,4.8
"Two boys, in red, play chess.",Two boys in red are playing chess.,4.6
The river froze last night.,The river was frozen by morning.,3.9
A woman paints a fence.,A woman is painting a portrait.,2.1
The bus leaves at noon.,A cat sleeps on the sofa.,0.2
Rain is expected on Sunday.,The printer is out of paper.,0.0
"""


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared, so that every FP32 model is trained once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture
def folder(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with glue/ and damaged copies in it."""
    for split in ("train", "dev"):
        for name, place, text in (
            ("glue", "RTE", RTE),
            ("glue", "STS-B", STS),
            ("short", "RTE", RTE + "Only one.\tentailment\n"),
        ):
            path = tmp_path / name / place / f"{split}.{'csv' if place == 'STS-B' else 'tsv'}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TILEBERT_CACHE", str(cache))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def test_similarity(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = "train --task similarity --glue glue --mode wlog-a8 --exponent-bits 3 -o log.safetensors"
    assert run(f"{command} --epochs 2 --json log.json".split()) == 0
    out, err = capfd.readouterr()
    record = json.loads((folder / "log.json").read_text())
    assert record["agreement"] == {"examples": 6, "same": 6, "largest": pytest.approx(0, abs=1e-5)}
    assert record["fp32"]["pearson"] > 90
    assert record["trained"]["pearson"] > 80
    assert f"trained pearson {record['trained']['pearson']:.2f}" in out
    assert err.startswith("after epoch 1: pearson ")
    assert checkpoint.load(folder / "log.safetensors").mode == mode("wlog-a8", 3)
    # What eval finds in the checkpoint is what was reported.
    words = "eval --task sts-b --glue glue --mode wlog-a8 --exponent-bits 3 --checkpoint log.safetensors --json e.json"
    assert run(words.split()) == 0
    assert json.loads((folder / "e.json").read_text())["pearson"] == record["trained"]["pearson"]
    assert sorted(path.name for path in folder.iterdir() if "log" in path.name) == [
        "log.json",
        "log.safetensors",
    ]


def test_a_head(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = "train --task rte --glue glue --mode w8a8 --bits 6 --no-clip --plain -o six.safetensors --json six.json"
    assert run(command.split()) == 0
    out, _ = capfd.readouterr()
    record = json.loads((folder / "six.json").read_text())
    assert record["agreement"] == {"examples": 6, "same": 6, "largest": pytest.approx(0, abs=1e-4)}
    assert "6 of 6 predictions of golden are the trained model's" in out
    model = checkpoint.load(folder / "six.safetensors")
    assert model.head is not None
    assert model.head.task == "rte"
    assert max(np.abs(dense.codes).max() for layer in model.layers for dense in layer.dense.values()) == 31
    assert (
        run(
            ["eval", "--task", "rte", "--glue", "glue", "--checkpoint", "six.safetensors", "--json", "e.json"]
        )
        == 0
    )
    out, _ = capfd.readouterr()
    assert json.loads((folder / "e.json").read_text())["accuracy"] == record["trained"]["accuracy"]
    assert f"{record['trained']['accuracy']:.2f}" in out


def test_from_scratch_has_no_fp32(folder: Path) -> None:
    words = "train --task rte --glue glue --from-scratch --limit 4 -o x.safetensors --json x.json"
    assert run(words.split()) == 0
    record = json.loads((folder / "x.json").read_text())
    assert "fp32" not in record
    assert record["agreement"]["examples"] == 4


def test_a_loss_that_is_no_number(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from train.objectives import Headed

    monkeypatch.setattr(Headed, "loss", lambda self, features, labels: features.sum() * torch.nan)
    assert run(["train", "--task", "rte", "--glue", "glue", "--from-scratch", "-o", "x.safetensors"]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    assert err == "tilebert: loss: expected a number, got nan in step 1 of 1\n"
    assert not (folder / "x.safetensors").exists()


CASES = {
    "no folder": ("--task rte --glue gone", "--glue: gone: expected RTE/train.tsv, found none"),
    "no such task's": ("--task cola --glue empty", "--glue: empty: expected CoLA/train.tsv, found none"),
    "a row": ("--task rte --glue short", "--glue: short/RTE/train.tsv:8: expected 3 columns, got 2"),
    "task": (
        "--task mnli --glue glue",
        "--task: expected one of similarity, sts-b, mrpc, rte, cola, sst-2, qnli",
    ),
    "mode": (
        "--task rte --glue glue --mode w2a2",
        "mode: expected one of w8a8, w4a8, w4a4, wlog-a8, wlog-alog, ",
    ),
    "bits": ("--task rte --glue glue --mode w4a8 --bits 6", "bits: expected 2..4 in w4a8, got 6"),
    "epochs": ("--task rte --glue glue --epochs 0", "--epochs: expected a number above 0, got 0"),
    "rate": ("--task rte --glue glue --rate 1", "--rate: expected a number between 0 and 1, got 1"),
    "limit": ("--task rte --glue glue --limit 1", "--limit: expected 2 examples or more, got 1"),
    "device": ("--task rte --glue glue --device tpu", "--device: expected cpu or cuda, got 'tpu'"),
    "output": (
        "--task rte --glue glue -o gone/x.safetensors",
        "--output: expected a file in an existing folder",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_train_names_what_is_wrong(case: str, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options, message = CASES[case]
    before = sorted(folder.rglob("*"))
    place = "" if "-o " in options else " -o x.safetensors"
    refused(f"train {options}{place}".split(), message, capfd)
    assert sorted(folder.rglob("*")) == before


def test_table(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "page.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    words = ["table", "--glue", "glue", "--task", "rte", "--records", "cells.jsonl", "--page", "page.md"]
    words += ["-o", "plots", "--workers", "1", "--row", "fp32", "--row", "wlog-a8, 3"]
    assert run(words) == 0
    _, err = capfd.readouterr()
    assert err == "1 of 2: rte in fp32\n2 of 2: rte in wlog-a8, 3\n"
    records = grid.read_records(folder / "cells.jsonl")
    assert [(record["task"], record["row"]) for record in records] == [("rte", "fp32"), ("rte", "wlog-a8, 3")]
    figures = [f"{records[1][when]['accuracy']:.2f}" for when in ("post", "trained")]
    text = (folder / "page.md").read_text()
    assert text.startswith(f"before\n{BEGIN}\n| format | weights, kB | rte, accuracy |\n")
    assert text.endswith(f"{END}\nafter\n")
    assert re.search(rf"^\| wlog-a8, 3 \| 5,308 \| {' → '.join(figures)}", text, re.MULTILINE)
    assert "| w4a8 |  | not run |" in text
    assert f"| fp32 |  | {records[0]['trained']['accuracy']:.2f} |" in text
    assert (folder / "plots" / "trained.png").stat().st_size > 1000
    # Nothing runs twice.
    assert run(words) == 0
    assert capfd.readouterr().err == ""
    assert grid.read_records(folder / "cells.jsonl") == records


def test_one_class_is_told() -> None:
    from scripts.table import markdown

    record = {"task": "rte", "row": "w4a8", "seed": 0, "trained": {"accuracy": 52.7, "classes": 1.0}}
    assert "| w4a8 |  | 52.70 (one class) |" in markdown([record], ("rte",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--task mnli", "--task: expected one of similarity, "),
        ("--row w2a2", "--row: expected one of fp32; 8 bits, direct; "),
        ("--workers -1", "--workers: expected 0 or more, got -1"),
        ("--page gone.md", "--page: expected a page, got gone.md (no such file)"),
        ("--records bad.jsonl --show", "bad.jsonl:1: expected a record of task, row and seed, got 'text'"),
        ("--page bad.jsonl", f"--page: expected the lines {BEGIN} and {END}, got bad.jsonl without"),
    ],
)
def test_table_names_what_is_wrong(
    options: str, message: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (folder / "bad.jsonl").write_text("text\n")
    place = "" if "--records" in options else " --records cells.jsonl"
    refused(f"table --glue glue {options}{place}".split(), message, capfd)


def test_the_latest_record_counts() -> None:
    records = [{"task": "rte", "row": "fp32", "seed": 0, "trained": number} for number in (1, 2)]
    assert grid.find(records, Cell("rte", "fp32")) == records[1]
    assert grid.find(records, Cell("rte", "fp32", 1)) is None
