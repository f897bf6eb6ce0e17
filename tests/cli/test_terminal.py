"""Tables on terminals of any width: no figure is cut; pipes are wide."""

import json
import re
from pathlib import Path

import pytest
from rich.table import Table

from scripts import console
from scripts.cli import run
from scripts.commands.bench import _report as report_bench
from scripts.console import Output

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

ROOT = Path(__file__).parents[2]


@pytest.fixture(params=[40, 60, 80, 200])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """A terminal of that width."""
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", str(request.param))
    return request.param


def lines(capfd: pytest.CaptureFixture[str]) -> list[str]:
    return ANSI.sub("", capfd.readouterr().out).splitlines()


def wide_table() -> tuple[Table, list[str]]:
    table = Table(title="Layer 0 on 8 x 8 PEs, verilator")
    headings = (
        "GEMM",
        "mode",
        "M x K x N",
        "tiles",
        "cycles",
        "busy",
        "max |acc|",
        "results",
        "wrong",
    )
    for heading in headings:
        table.add_column(heading, no_wrap=heading != "busy", justify="right")
    rows = [
        ("query", "w4a8", "16 x 384 x 384", "1,234", "56,789", "98.7%", "1,234,567", "6,144", "0"),
        ("scores", "w8a8", "12 x (16 x 32 x 16)", "48", "3,333", "5.4%", "99,999", "3,072", "0"),
    ]
    for row in rows:
        table.add_row(*row)
    return table, [*headings, *(cell for row in rows for cell in row)]


def test_a_table_keeps_its_figures(width: int, capfd: pytest.CaptureFixture[str]) -> None:
    table, cells = wide_table()
    Output().show(table)
    shown = lines(capfd)
    assert [line for line in shown if len(line) > width] == [], shown
    for cell in cells:
        assert any(cell in line for line in shown), (cell, shown)
    assert "…" not in "".join(shown)
    # Where there is room it is a table.
    assert any(line.startswith("┃") for line in shown) == (width == 200)


def test_a_pipe_is_wide(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    table, _ = wide_table()
    Output().show(table)
    assert any(line.startswith("┃") for line in lines(capfd))


def test_commands_keep_their_figures(
    width: int, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    records = (
        "name,unit,value,better\necp5/array/16x16/wlog-a8+wlog-alog-3/no-dsp/fmax-1,MHz,{},more\n"
    )
    for name, value in (("base", "1234567.25"), ("new", "1234566.5")):
        (tmp_path / name).write_text(records.format(value))
    assert run(["compare", str(tmp_path / "base"), str(tmp_path / "new")]) == 1
    text = "\n".join(lines(capfd))
    for figure in (
        "1,234,567.25",
        "1,234,566.50",
        "-0.0 %",
        "ecp5/array/16x16/wlog-a8+wlog-alog-3/no-dsp/fmax-1",
    ):
        assert figure in text

    assert (
        run(["table", "--show", "--glue", ".", "--records", str(ROOT / "docs/data/trained.jsonl")])
        == 0
    )
    text = "\n".join(lines(capfd))
    trained = [
        json.loads(line) for line in (ROOT / "docs/data/trained.jsonl").read_text().splitlines()
    ]
    for record in trained:
        if record["seed"] == 0 and record["task"] == "similarity" and "post" in record:
            assert f"{record['post']['pearson']:.2f} → {record['trained']['pearson']:.2f}" in text

    bench = json.loads((ROOT / "docs/data/bench-minilm.json").read_text())
    report_bench("minilm, a title that is longer than a narrow terminal", None, bench["results"])
    shown = lines(capfd)
    for record in bench["results"]:
        for figure in (
            f"{record['cycles']:,}",
            f"{record['predicted']:,}",
            f"{record['utilization']:.1%}",
        ):
            assert any(
                re.search(rf"(?<![\d,.]){re.escape(figure)}(?![\d,.])", line) for line in shown
            )
    assert [line for line in shown if len(line) > width] == []


def test_no_command_prints_a_table_by_itself() -> None:
    for file in Path(console.__file__).parent.rglob("*.py"):
        if file.name != "console.py":
            assert not re.search(r"\bout\.print\((table|units|Table)", file.read_text()), file
