"""`tilebert compare`: values that changed between two files of records, better or worse."""

import math
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from hw.flow.registry import Record
from scripts import records
from scripts.console import err, out
from scripts.files import STDIO, read_text


def compare(
    base: Annotated[Path, typer.Argument(help="Records of the baseline.")],
    new: Annotated[Path, typer.Argument(help="Records to compare with it.")],
    tolerance: Annotated[float, typer.Option(help="Percent that a value may be worse by.")] = 0.0,
    every: Annotated[bool, typer.Option("--all", help="Show what did not move, too.")] = False,
) -> None:
    """Show the values that changed, with an arrow up if a value is better, down if it is worse.

    The exit status is 1 if a value is missing, or worse by more than the tolerance.
    """
    if not 0 <= tolerance < math.inf:
        raise ValueError(f"--tolerance: expected 0 percent or more, got {tolerance:g}")
    if base == new == STDIO:
        raise ValueError("NEW: expected a file, got - that BASE is too")
    old, now = (
        {record.name: record for record in _read(name, path)}
        for name, path in (("BASE", base), ("NEW", new))
    )
    table = Table()
    for heading in ("", "name", "unit"):
        table.add_column(heading, no_wrap=True)
    for heading in ("base", "new", "change"):
        table.add_column(heading, justify="right", no_wrap=True)
    worse, missing = 0, 0
    for name, record in old.items():
        if name not in now:
            missing += 1
            table.add_row("?", name, record.unit, _text(record.value), "missing", "")
            continue
        change = percent(record, now[name])
        bad = change < -tolerance
        worse += bad
        if change or every:
            arrow = "=" if not change else "↑" if change > 0 else "↓"
            style = "red" if bad else None
            moved = f"{'+' if now[name].value >= record.value else '-'}{abs(change):.1f} %"
            table.add_row(
                arrow,
                name,
                record.unit,
                _text(record.value),
                _text(now[name].value),
                moved,
                style=style,
            )
    added = len(now.keys() - old.keys())
    if table.row_count:
        out.show(table)
    out.say(
        f"{len(old)} records: {worse} worse by more than {tolerance:g} %, {missing} missing, "
        f"{added} new"
    )
    if worse or missing:
        err.say(
            f"tilebert: compare: {worse} of {len(old)} records are worse than {base}, {missing} "
            "are missing",
        )
        raise typer.Exit(1)


def _read(name: str, path: Path) -> list[Record]:
    if path.is_file():
        return records.read(path)
    return records.parse(read_text(path, name, "a file of records").splitlines(), f"{path}")


def percent(base: Record, new: Record) -> float:
    """Improvement of the new value in percent of the base value; negative if it is worse."""
    if base.value == new.value:
        return 0.0
    gain = new.value - base.value if base.better == "more" else base.value - new.value
    return 100 * gain / abs(base.value) if base.value else (100.0 if gain > 0 else -100.0)


def _text(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
