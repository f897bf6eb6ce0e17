"""`tilebert eval` on sentences written for this test, and what it says about wrong input."""

import json
import re
from pathlib import Path

import pytest

from golden.bert import checkpoint
from golden.bert.calibration import quantize_model
from golden.spec.modes import mode
from golden.tasks.glue import TASKS, read_examples
from scripts.cli import run
from tests.support import tiny
from tests.support.glue_files import STS as ROWS


@pytest.fixture
def glue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with glue/ in it, damaged copies and checkpoints beside it."""
    folders = {
        "glue": ROWS,
        "short": ROWS + "Two columns.,Only.\n",
        "high": ROWS + "One.,Other.,7\n",
        "none": "",
        "equal": re.sub(r"[\d.]+$", "2.5", ROWS, flags=re.MULTILINE),
    }
    for name, text in folders.items():
        (tmp_path / name / "STS-B").mkdir(parents=True)
        (tmp_path / name / "STS-B" / "dev.csv").write_text(text)
    (tmp_path / "empty").mkdir()
    (tmp_path / "folder" / "STS-B" / "dev.csv").mkdir(parents=True)
    for name, bits in (("w4a8", 4), ("wlog-a8", 3)):
        model = quantize_model(tiny.tiny_weights(), mode(name, bits), tiny.SENTENCES)
        checkpoint.save(model, tmp_path / f"{name}.safetensors", embeddings=True)
    (tmp_path / "text.safetensors").write_text("no checkpoint")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluate(options: str) -> int:
    return run(f"eval --task sts-b --glue glue {options}".split())


def test_eval_in_w8a8_is_close_to_float(glue: Path, capfd: pytest.CaptureFixture[str]) -> None:
    records = {}
    for name in ("fp32", "w8a8"):
        assert evaluate(f"--mode {name} --json {name}.json") == 0
        out, _ = capfd.readouterr()
        records[name] = record = json.loads((glue / f"{name}.json").read_text())
        assert (record["task"], record["mode"], record["backend"], record["pairs"]) == (
            "sts-b",
            name,
            "golden",
            6,
        )
        for figure in (record["pearson"], record["spearman"]):
            assert 80 < figure <= 100
            assert f"{figure:.2f}" in out
    assert records["w8a8"]["pearson"] == pytest.approx(records["fp32"]["pearson"], abs=2)
    assert records["w8a8"]["pearson"] != records["fp32"]["pearson"]


def test_limit_takes_the_first_pairs(glue: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert evaluate("--mode fp32 --limit 4 --json four.json") == 0
    (glue / "four" / "STS-B").mkdir(parents=True)
    (glue / "four" / "STS-B" / "dev.csv").write_text("".join(ROWS.splitlines(keepends=True)[:4]))
    assert (
        run(["eval", "--task", "sts-b", "--glue", "four", "--mode", "fp32", "--json", "whole.json"])
        == 0
    )
    four, whole = (json.loads((glue / f"{name}.json").read_text()) for name in ("four", "whole"))
    assert four["pairs"] == whole["pairs"] == len(read_examples(TASKS["sts-b"], glue / "four")) == 4
    assert (four["pearson"], four["spearman"]) == (whole["pearson"], whole["spearman"])
    assert evaluate("--mode fp32 --limit 1000 --json more.json") == 0
    assert json.loads((glue / "more.json").read_text())["pairs"] == 6


CASES = {
    "no such folder": (
        "--glue gone",
        "--glue: gone: expected STS-B/dev.csv or STS-B/dev.tsv, found neither",
    ),
    "no STS-B": (
        "--glue empty",
        "--glue: empty: expected STS-B/dev.csv or STS-B/dev.tsv, found neither",
    ),
    "two columns": ("--glue short", "--glue: short/STS-B/dev.csv:7: expected 3 columns, got 2"),
    "score of 7": ("--glue high", "--glue: high/STS-B/dev.csv:7: score: expected 0..5, got '7'"),
    "no rows": ("--glue none", "--glue: none/STS-B/dev.csv: expected rows, got none"),
    "scores all equal": (
        "--glue equal",
        "--glue: equal/STS-B: expected examples of dev with different scores, got 2.5 in all 6",
    ),
    "a folder for a file": ("--glue folder", "--glue: ...Is a directory: 'folder/STS-B/dev.csv'"),
    "unknown mode": (
        "--mode w2a2",
        "--mode: expected one of w8a8, w4a8, w4a4, wlog-a8, wlog-alog, wpw-a8, fp32, got 'w2a2'",
    ),
    "exponent bits": (
        "--mode wlog-alog --exponent-bits 5",
        "--exponent-bits: expected 3 or 4 in wlog-alog, got 5",
    ),
    "limit 0": ("--limit 0", "--limit: expected 2 pairs or more, got 0"),
    "limit 1": ("--limit 1", "--limit: expected 2 pairs or more, got 1"),
    "limit -3": ("--limit -3", "--limit: expected 2 pairs or more, got -3"),
    "limit text": ("--limit all", "Invalid value for '--limit': "),
    "float rtl": (
        "--backend rtl --mode fp32",
        "--backend: expected golden with --mode fp32, got rtl",
    ),
    "workers": ("--backend rtl --workers -1", "--workers: expected 0 or more, got -1"),
    "a file to keep in": (
        "--backend rtl --keep text.safetensors",
        "--keep: expected a folder, got the file text.safetensors",
    ),
    "unknown backend": ("--backend gpu", "Invalid value for '--backend': ...'gpu' is not one of"),
    "unknown task": ("--task mnli", "--task: expected one of similarity, sts-b, ...got 'mnli'"),
    "no files of a task": ("--task cola", "--glue: glue: expected CoLA/dev.tsv, found none"),
    "float checkpoint": (
        "--mode fp32 --checkpoint w4a8.safetensors",
        "--checkpoint: expected with a quantized mode, got --mode fp32",
    ),
    "no checkpoint": ("--checkpoint gone.safetensors", "gone.safetensors: no such file"),
    "damaged checkpoint": (
        "--checkpoint text.safetensors",
        "text.safetensors: not a safetensors file (",
    ),
    "checkpoint of another mode": (
        "--checkpoint w4a8.safetensors",
        "--checkpoint: expected a model in w8a8 (linear-8 weights), got w4a8.safetensors in w4a8 "
        "(linear-4 weights)",
    ),
    "checkpoint of other exponent bits": (
        "--mode wlog-a8 --checkpoint wlog-a8.safetensors",
        "--checkpoint: expected a model in wlog-a8 (log2-4 weights), got wlog-a8.safetensors in "
        "wlog-a8 (log2-3",
    ),
    "no folder": (
        "--json gone/x.json",
        "--json: expected a file in an existing folder, got gone/x.json",
    ),
    "a folder": ("--json glue", "--json: expected a file in an existing folder, got glue"),
}


@pytest.mark.parametrize("case", CASES)
def test_eval_names_what_is_wrong(case: str, glue: Path, capfd: pytest.CaptureFixture[str]) -> None:
    options, message = CASES[case]
    before = sorted(glue.rglob("*"))
    assert evaluate(options) == 2
    out, err = capfd.readouterr()
    assert out == ""
    pattern = ".*".join(re.escape(part) for part in message.split("..."))
    assert re.match(f"tilebert: {pattern}", err), err
    assert err.count("\n") == 1
    assert sorted(glue.rglob("*")) == before


@pytest.mark.parametrize("missing", ["--task sts-b", "--glue glue"])
def test_eval_needs_a_task_and_its_files(
    missing: str, glue: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = "eval --task sts-b --glue glue".replace(missing, "").split()
    assert run(words) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith(f"tilebert: Missing option '{missing.split()[0]}'")
    assert err.count("\n") == 1
