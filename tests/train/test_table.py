"""`tilebert table` on small files written here: its output and its errors."""

import re
from pathlib import Path

import pytest

from scripts.cli import run
from scripts.commands.table import BEGIN, END
from scripts.eval import grid
from scripts.eval.grid import Cell
from tests.support.glue_files import write_glue
from tests.support.refusal import refused

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Working folder with GLUE's files."""
    write_glue(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TILEBERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return tmp_path


def test_table(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (folder / "page.md").write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    words = [
        "table",
        "--glue",
        "glue",
        "--task",
        "rte",
        "--records",
        "cells.jsonl",
        "--page",
        "page.md",
    ]
    words += ["-o", "plots", "--workers", "1", "--row", "fp32", "--row", "wlog-a8, 3"]
    assert run(words) == 0
    _, err = capfd.readouterr()
    assert err == "1 of 2: rte in fp32\n2 of 2: rte in wlog-a8, 3\n"
    records = grid.read_records(folder / "cells.jsonl")
    assert [(record["task"], record["row"]) for record in records] == [
        ("rte", "fp32"),
        ("rte", "wlog-a8, 3"),
    ]
    figures = [f"{records[1][when]['accuracy']:.2f}" for when in ("post", "trained")]
    text = (folder / "page.md").read_text()
    assert text.startswith(f"before\n{BEGIN}\n| format | weights, kB | rte, accuracy |\n")
    assert text.endswith(f"{END}\nafter\n")
    assert re.search(rf"^\| wlog-a8, 3 \| 5,308 \| {' → '.join(figures)}", text, re.MULTILINE)
    assert "| w4a8 |  | not run |" in text
    assert f"| fp32 |  | {records[0]['trained']['accuracy']:.2f} |" in text
    assert (folder / "plots" / "trained.png").stat().st_size > 1000
    # The trainings' states are removed.
    assert not list((folder / "cache" / "training").glob("*.state"))
    # A second run computes nothing again.
    assert run(words) == 0
    assert capfd.readouterr().err == ""
    assert grid.read_records(folder / "cells.jsonl") == records


def test_one_class_is_told() -> None:
    from scripts.commands.table import markdown

    record = {
        "task": "rte",
        "row": "w4a8",
        "seed": 0,
        "trained": {"accuracy": 52.7, "classes": 1.0},
    }
    assert "| w4a8 |  | 52.70 (one class) |" in markdown([record], ("rte",))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--task mnli", "--task: expected one of similarity, "),
        ("--row w2a2", "--row: expected one of fp32; 8 bits, direct; "),
        ("--workers -1", "--workers: expected 0 or more, got -1"),
        ("--page gone.md", "--page: expected a page, got gone.md (no such file)"),
        (
            "--records bad.jsonl --show",
            "bad.jsonl:1: expected a record of task, row and seed, got 'text'",
        ),
        (
            "--task sts-b --glue equal",
            "--glue: equal/STS-B: expected examples of dev with different scores, got",
        ),
        (
            "--page bad.jsonl",
            f"--page: expected the lines {BEGIN} and {END}, got bad.jsonl without",
        ),
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
