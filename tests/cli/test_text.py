"""Texts and paths of any characters: shown as they are, in any locale, or refused in one line."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from rich.table import Table

from golden.bert.calibration import quantize_model
from golden.spec.modes import mode
from scripts import console
from scripts.cli import run
from scripts.console import Output, progress, status
from tests.support import tiny
from tests.support.program import environment, program
from tests.support.refusal import refused

TEXTS = ["see [/usr/bin]", "[bold]x[/bold]", "a :smile: b", "[/]", "\\[x]"]
"""What Rich takes for markup or emoji unless told otherwise."""


@pytest.mark.parametrize("text", TEXTS)
def test_a_console_shows_texts_as_they_are(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In lines, tables, titles, progress and status: all that commands print goes through these."""
    terminal = io.StringIO()
    table = Table(title=text)
    table.add_column(text)
    table.add_row(text)
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    monkeypatch.setattr(Output, "file", property(lambda self: terminal))
    monkeypatch.setattr(console, "err", Output(stderr=True))
    subject = Output()
    subject.say(text)
    subject.show(table)
    with progress() as bar:
        bar.stage(text)
        bar(0.5, text)
    with status(text) as change:
        change(f"{text}!")
    shown = terminal.getvalue()
    assert shown.count(text) >= 6


def test_no_command_has_a_console_of_its_own() -> None:
    for file in Path(console.__file__).parent.rglob("*.py"):
        if file.name != "console.py":
            source = file.read_text()
            assert "rich.console" not in source, file
            assert ".status(" not in source, file


@pytest.mark.parametrize("name", ["q[/x]", "[red]q", ":fire:"])
def test_paths_with_brackets(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    model = quantize_model(tiny.tiny_weights(), mode("w8a8"), tiny.SENTENCES)
    monkeypatch.setattr("scripts.commands.quantize.quantized", lambda chosen, clip: model)
    monkeypatch.setattr("golden.bert.checkpoint.to_bytes", lambda model: b"content")
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).mkdir(parents=True)
    file = f"{name}/m.safetensors"
    assert run(["quantize", "-o", file]) == 0
    assert capfd.readouterr().out.startswith(f"{file}: ")
    assert run(["report", "-o", f"{name}/page", "--trained", "none", "--cells", "none"]) == 0
    assert capfd.readouterr().out.startswith(f"{name}/page/index.html: ")
    refused(
        ["compare", f"{name}/gone[/x]", "b"],
        f"BASE: expected a file of records, got {name}/gone[/x] (no such file)",
        capfd,
    )


def test_a_text_with_brackets(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["bert", "see [/usr/bin]", "--mode", "fp32"]) == 0
    assert "see [/usr/bin]" in capfd.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize(
    "locale",
    [
        {"LC_ALL": "C.UTF-8"},
        {"LC_ALL": "C"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
    ids=["utf-8", "C", "ascii"],
)
def test_an_argument_that_is_not_utf8(locale: dict[str, str], tmp_path: Path) -> None:
    """A file name may be any bytes; a text may not."""
    for name in ("x", "w"):
        np.save(tmp_path / f"{name}.npy", np.ones((3, 3), np.int8))
    env = environment(**locale)
    words = ["gemm", "--x", "x.npy", "--w", "w.npy", "-o", b"y\xff.npy", "--json", b"\xff.json"]
    done = program(*words, env=env, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    assert {b"y\xff.npy", b"\xff.json"} <= set(os.listdir(os.fsencode(tmp_path)))
    for wrong in (["gemm", "--x", b"\xfe.npy", *words[3:]], ["bert", b"caf\xe9"]):
        done = program(*wrong, env=env, cwd=tmp_path)
        assert done.returncode == 2, done
        assert done.stderr.startswith(b"tilebert: ")
        assert done.stderr.count(b"\n") == 1
        assert done.stdout == b""


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "ascii:strict"])
def test_output_that_cannot_be_encoded(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("name,unit,value,better\nü→/COMB,cells,1,less\n")
    (tmp_path / "b.csv").write_text("name,unit,value,better\nü→/COMB,cells,2,less\n")
    done = program(
        "compare",
        "a.csv",
        "b.csv",
        env=environment(PYTHONIOENCODING=encoding, PYTHONUTF8="0"),
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert b"\\u2192/COMB" in done.stdout
    assert done.stderr == b"tilebert: compare: 1 of 1 records are worse than a.csv, 0 are missing\n"
