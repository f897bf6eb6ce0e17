"""`tilebert cache`: list or remove what is kept between runs."""

import time
from typing import Annotated, Literal

import typer
from rich.table import Table

from scripts.console import out
from sim import cache as kept
from sim.cache import DAY, Entry

Action = Literal["list", "clean"]

QUICK = ("builds", "designs", "models", "tools")
"""Kinds of entries that can be made again within minutes."""


def cache(
    action: Annotated[
        Action, typer.Argument(help="Show what is kept, or remove it.", metavar="[list|clean]")
    ] = "list",
    older_than: Annotated[
        float | None,
        typer.Option(
            "--older-than",
            help="Remove only what was last used more than DAYS days ago.",
            metavar="DAYS",
        ),
    ] = None,
    training: Annotated[
        bool,
        typer.Option(
            "--training", help="Remove trained models, too: they take hours to train again."
        ),
    ] = False,
) -> None:
    """Show or remove the cache: simulator builds, Verilog, quantized and trained models.

    It is in $TILEBERT_CACHE, by default ~/.cache/tilebert. A removed entry is made again when
    needed.
    """
    if older_than is not None and not 0 <= older_than < 1e6:
        raise ValueError(f"--older-than: expected days, 0 or more, got {older_than:g}")
    kinds = (*QUICK, "training") if training else QUICK
    if action == "list":
        limit = time.time() - (older_than or 0) * DAY
        found = [entry for entry in kept.entries() if entry.used <= limit]
        if found:
            out.show(_table(found))
        verb = "in"
    else:
        found = kept.clean(kinds, (older_than or 0) * DAY)
        verb = "removed from"
    out.say(
        f"{len(found)} entries, {_size(sum(each.size for each in found))} {verb} "
        f"{kept.cache_folder()}"
    )


def _table(entries: list[Entry]) -> Table:
    table = Table()
    table.add_column("kind", no_wrap=True)
    table.add_column("entry")
    table.add_column("size", justify="right", no_wrap=True)
    table.add_column("days since it was used", justify="right")
    for entry in entries:
        days = max(0.0, time.time() - entry.used) / DAY
        table.add_row(entry.kind, entry.what or entry.path.name, _size(entry.size), f"{days:.1f}")
    return table


def _size(count: int) -> str:
    return f"{count / 1e6:,.1f} MB"
