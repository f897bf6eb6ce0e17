"""Files of records that are cut short anywhere: what is whole is kept, the rest is made again."""

import json
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from golden import files
from hw.flow.registry import Record
from scripts import records
from scripts.cli import run
from scripts.eval import grid
from scripts.eval.grid import Cell
from tests.support.refusal import refused

MEASURED = {
    "ecp5/pe/8x8/w8a8": [("COMB", 55.0), ("FF", 88.0), ("DSP", 1.0)],
    "ecp5/pe/8x8/w8a8+w4a8": [("COMB", 75.0), ("FF", 99.0)],
    "ecp5/array/8x8/w8a8": [("fmax-1", 220.5)],
}
"""Records of builds, each measured at once; the name of one begins with that of another."""

CELLS = [
    {"task": "rte", "row": row, "seed": 0, "limit": None, "trained": {"accuracy": 52.5}}
    for row in ("fp32", "w8a8")
]


def measured(build: str) -> list[Record]:
    return [Record(f"{build}/{kind}", "cells", value, "less") for kind, value in MEASURED[build]]


def measure_missing(path: Path) -> None:
    """What `sweep` does."""
    records.mend(path)
    names = {record.name.rpartition("/")[0] for record in records.read(path)}
    for build in MEASURED:
        if build not in names:
            records.append(path, measured(build))


def run_missing(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `table` does, with cells that take no time."""
    monkeypatch.setattr(grid, "processes", Inline)
    monkeypatch.setattr(grid, "read", lambda *_: [])
    monkeypatch.setattr(
        grid, "run_cell", lambda cell, *_: next(each for each in CELLS if cell.of(each))
    )
    grid.run([Cell("rte", record["row"]) for record in CELLS], Path("glue"), path)


class Inline:
    """An executor that does everything at once, in this process."""

    def __init__(self, *arguments: object, **options: object) -> None:
        pass

    def __enter__(self) -> "Inline":
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def submit(self, function: object, *arguments: object) -> Future:
        future: Future = Future()
        future.set_result(function(*arguments))
        return future


def test_a_sweep_goes_on_wherever_its_file_was_cut(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    whole, path = tmp_path / "whole.csv", tmp_path / "r.csv"
    measure_missing(whole)
    content = whole.read_bytes()
    # Cut between the records of a build, an older version's file would not show it.
    starts = [0, *(content.index(build.encode() + b"/") for build in MEASURED)]
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        measure_missing(path)
        err = capfd.readouterr().err
        if content[:length].endswith(b"\n") or not length:
            assert err == ""
            if length in (*starts, len(content)):
                assert path.read_bytes() == content, length
        else:
            assert path.read_bytes() == content, length
            assert err.startswith(f"tilebert: {path}:")
            assert err.endswith(": cut short, is dropped\n")
            assert err.count("\n") == 1


def test_a_table_goes_on_wherever_its_file_was_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    content = "".join(json.dumps(record) + "\n" for record in CELLS).encode()
    path = tmp_path / "r.jsonl"
    for length in range(len(content) + 1):
        path.write_bytes(content[:length])
        run_missing(path, monkeypatch)
        assert path.read_bytes() == content, length
        # A record that is whole but for its newline was paid for, and is kept.
        whole = (
            content[length - 1 : length] in (b"\n", b"") or content[length : length + 1] == b"\n"
        )
        number = 1 + content[:length].count(b"\n")
        assert capfd.readouterr().err == (
            "" if whole else f"tilebert: {path}:{number}: cut short, is dropped\n"
        )


@pytest.mark.parametrize("length", range(1, 30, 7))
def test_a_record_of_a_build_whose_others_are_whole_stays(length: int, tmp_path: Path) -> None:
    """The torn line names another build: nothing before it is measured again."""
    path = tmp_path / "r.csv"
    records.append(path, measured("ecp5/pe/8x8/w8a8"))
    before = path.read_bytes()
    path.write_bytes(before + b"ice40/array/2x2/w8a8/COMB,cells,5"[:length])
    expected = (
        before
        if not b"ecp5/pe/8x8/w8a8/".startswith(b"ice40"[:length])
        else records.whole(path.read_bytes())
    )
    records.mend(path)
    assert path.read_bytes() == expected


def test_lines_end_in_a_header_again(tmp_path: Path) -> None:
    """A file that is empty, or whose header was cut, gets one."""
    for content in (b"", b"name,unit,va"):
        path = tmp_path / "r.csv"
        path.write_bytes(content)
        measure_missing(path)
        assert path.read_text().startswith("name,unit,value,better\necp5/")
        assert len(records.read(path)) == 6


@pytest.mark.parametrize("name", ["r.csv", "r.jsonl"])
def test_what_cannot_be_written_leaves_the_file_as_it_was(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / name

    def add() -> None:
        if name == "r.csv":
            records.append(path, measured("ecp5/pe/8x8/w8a8"))
        else:
            grid.append(path, CELLS[0])

    add()
    before = path.read_bytes()

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device", target)

    with monkeypatch.context() as patch:
        patch.setattr(files.os, "replace", full)
        with pytest.raises(OSError, match="No space left on device"):
            add()
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == [name]
    add()
    assert len(path.read_bytes()) > len(before)


def test_a_link_to_a_file_of_records_stays_one(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    link = tmp_path / "r.csv"
    link.symlink_to(tmp_path / "folder" / "real.csv")
    records.append(link, measured("ecp5/pe/8x8/w8a8"))
    assert link.is_symlink()
    assert len(records.read(tmp_path / "folder" / "real.csv")) == 3


def test_several_append_at_once(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl"
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: grid.append(path, {**CELLS[0], "seed": number}), range(100)))
    assert sorted(record["seed"] for record in grid.read_records(path)) == list(range(100))


# Only the end may be cut.


DAMAGED = [
    (
        "compare base.csv base.csv",
        "base.csv",
        "a,b,c,less\n",
        "base.csv:2: expected a name, a unit, a number, less or more",
    ),
    (
        "compare base.csv base.csv",
        "base.csv",
        "a,b\n",
        "base.csv:2: expected a name, a unit, a number, less or more",
    ),
    (
        "compare base.csv base.csv",
        "base.csv",
        "a,\udcff,1,less\n",
        "base.csv:2: expected UTF-8, got byte 0xff",
    ),
    (
        "table --glue . --show --records r.jsonl",
        "r.jsonl",
        '{"task": "rte", "ro\n',
        "r.jsonl:1: expected a record of task,",
    ),
    (
        "table --glue . --show --records r.jsonl",
        "r.jsonl",
        '{"row": "fp32"}\n',
        "r.jsonl:1: expected a record of task,",
    ),
]


@pytest.mark.parametrize(("command", "name", "line", "message"), DAMAGED)
def test_a_damaged_line_in_the_middle_is_an_error(
    command: str,
    name: str,
    line: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    head = "name,unit,value,better\n" if name == "base.csv" else ""
    tail = "a/COMB,cells,1.0,less\n" if name == "base.csv" else json.dumps(CELLS[0]) + "\n"
    (tmp_path / name).write_text(head + line + tail, errors="surrogateescape")
    refused(command.split(), message, capfd)


def test_reading_alone_changes_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    measure_missing(tmp_path / "r.csv")
    (tmp_path / "r.jsonl").write_text(json.dumps(CELLS[0]) + "\n" + json.dumps(CELLS[1])[:30])
    content = (tmp_path / "r.csv").read_bytes()[:-3]
    (tmp_path / "r.csv").write_bytes(content)
    assert run(["compare", "r.csv", "r.csv"]) == 0
    assert capfd.readouterr().err == "tilebert: r.csv:7: cut short, is dropped\n" * 2
    assert run(["table", "--glue", ".", "--show", "--records", "r.jsonl", "--task", "rte"]) == 0
    assert capfd.readouterr().err == "tilebert: r.jsonl:2: cut short, is dropped\n"
    assert (tmp_path / "r.csv").read_bytes() == content


def test_a_record_of_other_limits_is_not_the_one_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cell is known by its task, format, seed, examples and epochs, not by its names alone."""
    asked = []
    monkeypatch.setattr(grid, "processes", Inline)
    monkeypatch.setattr(grid, "read", lambda *_: [])

    def cell_run(
        cell: Cell, glue: Path, limit: int | None, epochs: float | None
    ) -> dict[str, object]:
        asked.append((limit, epochs))
        record = {
            "task": cell.task,
            "row": cell.row,
            "seed": cell.seed,
            "limit": limit,
            "trained": {"accuracy": 50.0},
        }
        return record if cell.row == "fp32" else record | {"epochs": epochs or 1}

    monkeypatch.setattr(grid, "run_cell", cell_run)
    path, cells = tmp_path / "r.jsonl", [Cell("rte", "fp32"), Cell("rte", "w4a8")]
    for limit, epochs, count in (
        (8, None, 2),
        (8, None, 0),
        (None, None, 2),
        (None, 1, 0),
        (None, 2, 2),
        (8, 1, 0),
    ):
        asked.clear()
        grid.run(cells, tmp_path, path, limit=limit, epochs=epochs)
        assert len(asked) == count, (limit, epochs)


@pytest.mark.parametrize(
    "content", [b"all my notes", b"my notes\nin two lines", b'{\n  "a": 1\n}', b"\x7fELF\0\xff"]
)
@pytest.mark.parametrize(
    "words", ["sweep --unit pe --size 1x1 -o FILE", "table --glue . --records FILE"]
)
def test_a_file_of_something_else_stays(
    words: str, content: bytes, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """What no record begins with is none that is cut short."""
    path = tmp_path / "other"
    path.write_bytes(content)
    refused(words.replace("FILE", str(path)).split(), f"{path}:1: expected ", capfd)
    assert path.read_bytes() == content
