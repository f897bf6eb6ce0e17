"""`tilebert sweep`, which measures a build once, and `tilebert compare` of two files."""

import re
from pathlib import Path

import pytest

from hw.buildspec import BuildSpec
from hw.flow.registry import Point, Record, registry
from scripts import records
from scripts.cli import run
from scripts.commands.compare import percent
from tests.support.refusal import refused

LINES = """name,unit,value,better
ecp5/pe/8x8/w8a8/COMB,cells,55.0,less
ecp5/array/8x8/w8a8/fmax-1,MHz,220.5,more
"""


def test_records_come_back(tmp_path: Path) -> None:
    path = tmp_path / "r.csv"
    assert records.read(path) == []
    found = [Record("ecp5/pe/8x8/w8a8/COMB", "cells", 55.0, "less")]
    records.append(path, found)
    records.append(path, [Record("ecp5/array/8x8/w8a8/fmax-1", "MHz", 220.5, "more")])
    assert path.read_text() == LINES
    assert records.read(path)[:1] == found


@pytest.mark.parametrize(
    ("base", "new", "better", "expected"),
    [
        (100, 90, "less", 10),
        (100, 90, "more", -10),
        (0, 1, "less", -100),
        (0, 0, "more", 0),
        (50, 75, "more", 50),
    ],
)
def test_percent(base: float, new: float, better: str, expected: float) -> None:
    assert percent(Record("a", "b", base, better), Record("a", "b", new, better)) == expected


@pytest.mark.parametrize(
    ("new", "options", "status", "line"),
    [
        (LINES, "", 0, "2 records: 0 worse by more than 0 %, 0 missing, 0 new"),
        (
            LINES.replace("55.0", "56.0"),
            "",
            1,
            "2 records: 1 worse by more than 0 %, 0 missing, 0 new",
        ),
        (
            LINES.replace("55.0", "56.0"),
            "--tolerance 2",
            0,
            "2 records: 0 worse by more than 2 %, 0 missing, 0 new",
        ),
        (
            LINES.replace("220.5", "219.0"),
            "",
            1,
            "2 records: 1 worse by more than 0 %, 0 missing, 0 new",
        ),
        (
            LINES.replace("55.0", "50.0"),
            "",
            0,
            "2 records: 0 worse by more than 0 %, 0 missing, 0 new",
        ),
        (
            LINES.replace("fmax-1", "fmax-2"),
            "",
            1,
            "2 records: 0 worse by more than 0 %, 1 missing, 1 new",
        ),
    ],
)
def test_compare(
    new: str,
    options: str,
    status: int,
    line: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "base.csv").write_text(LINES)
    (tmp_path / "new.csv").write_text(new)
    words = ["compare", str(tmp_path / "base.csv"), str(tmp_path / "new.csv"), *options.split()]
    assert run(words) == status
    out, err = capfd.readouterr()
    assert out.splitlines()[-1] == line
    assert err.startswith("tilebert: compare: ") == bool(status)
    moved = new != LINES
    assert bool(re.search("[↑↓?]", out)) == moved


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            "compare gone.csv base.csv",
            "BASE: expected a file of records, got gone.csv (no such file)",
        ),
        (
            "compare base.csv base.csv --tolerance -1",
            "--tolerance: expected 0 percent or more, got -1",
        ),
        ("compare bad.csv base.csv", "bad.csv:1: expected name,unit,value,better, got 'text'"),
        (
            "compare worse.csv base.csv",
            "worse.csv:2: expected a name, a unit, a number, less or more, got 'a,b,c,less'",
        ),
        ("sweep -o x.csv --unit cpu", "--unit: expected one of pe, x_decoder, "),
        ("sweep -o x.csv --unit pe --modes w2a2", "--modes: expected one of w8a8, "),
        ("sweep -o x.csv --unit pe --size 8", "--size: expected rows x columns as 8x8, got '8'"),
        (
            "sweep -o x.csv --unit pe --size 0x8",
            "--size: expected rows x columns as 8x8, got '0x8'",
        ),
        (
            "sweep -o x.csv --unit pe --target gal",
            "--target: expected one of ecp5, ice40, xc7, got 'gal'",
        ),
        (
            "sweep -o x.csv --unit pe --target xc7 --seed 1",
            "--seed: expected --target ecp5 or ice40, got xc7",
        ),
        ("sweep -o x.csv --unit pe --modes all --no-dsp", "--no-dsp: expected one mode"),
        ("sweep -o gone/x.csv", "--output: expected a file in an existing folder, got gone/x.csv"),
        ("sweep -o x.csv --bench elmo", "--bench: expected one of bert-base, minilm, got 'elmo'"),
        ("sweep -o x.csv --workers -1", "--workers: expected 0 or more, got -1"),
    ],
)
def test_names_what_is_wrong(
    arguments: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "base.csv").write_text(LINES)
    (tmp_path / "bad.csv").write_text("text\n")
    (tmp_path / "worse.csv").write_text("name,unit,value,better\na,b,c,less\n")
    refused(arguments.split(), message, capfd)
    assert not (tmp_path / "x.csv").exists()


def test_points_have_names_of_their_own() -> None:
    points = registry()
    names = [point.name for point in points]
    assert len(set(names)) == len(names)
    for point in points:
        assert point.made(f"{point.path}/COMB")
        assert not any(other.made(f"{point.path}/COMB") for other in points if other is not point)
    routed = Point("array", BuildSpec(), seed=3)
    assert routed.made("ecp5/array/8x8/w8a8/fmax-3")
    assert not routed.made("ecp5/array/8x8/w8a8/fmax-1")
    assert not Point("array", BuildSpec()).made("ecp5/array/8x8/w8a8/fmax-3")


@pytest.mark.slow
def test_sweep_goes_on_where_it_was(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.csv"
    words = f"sweep -o {path} --unit pe --unit array --modes w8a8 --modes w8a8+w4a8"
    words += " --size 1x2 --k-max 64 --workers 1"
    records.append(path, [Record("ecp5/pe/1x2/w8a8/k64/COMB", "cells", 1.0, "less")])
    assert run(words.split()) == 0
    out, _ = capfd.readouterr()
    found = {record.name: record.value for record in records.read(path)}
    # What the file had stays as it is; the other three builds have six kinds each.
    assert found["ecp5/pe/1x2/w8a8/k64/COMB"] == 1.0
    assert len(found) == 1 + 3 * 6
    assert found["ecp5/array/1x2/w8a8+w4a8/k64/DSP"] == 2
    assert "ecp5/array/1x2/w8a8/k64" in out
    before = path.read_text()
    assert run(words.split()) == 0
    assert path.read_text() == before


@pytest.mark.slow
def test_sweep_times_a_layer_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.csv"
    words = (
        f"sweep -o {path} --bench minilm --modes w4a4 --modes w4a4 --size 16x16 --workers 1".split()
    )
    assert run(words) == 0
    found = {
        record.name.removeprefix("bench/minilm-128/16x16/"): record for record in records.read(path)
    }
    assert set(found) == {"w4a4/cycles", "w4a4/busy"}
    cycles, busy = found["w4a4/cycles"], found["w4a4/busy"]
    assert (cycles.better, busy.better, cycles.unit, busy.unit) == (
        "less",
        "more",
        "cycles",
        "percent",
    )
    # On 256 PEs: four products a cycle and PE in the six linear GEMMs, one (w8a8) in attention.
    slots = (128 * 384 * (4 * 384 + 2 * 1536) / 4 + 12 * 2 * 128 * 128 * 32) / 256
    assert slots < cycles.value < 1.3 * slots
    assert busy.value == pytest.approx(100 * slots / cycles.value)
    before = path.read_text()
    capfd.readouterr()
    assert run(words) == 0
    assert path.read_text() == before
