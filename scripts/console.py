"""What people see: tables on stdout, progress and errors on stderr. Texts are shown as they are, without markup."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, TextIO

from rich.console import Console, ConsoleDimensions
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 132
"""Columns of a file or a pipe."""


class Output(Console):
    """A console for texts that may hold brackets: stdout, or stderr while stdout is a file that a command writes."""

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=not stderr)
        self._taken = ""

    @property  # type: ignore[misc]
    def size(self) -> ConsoleDimensions:
        """A terminal's own size; a pipe's keeps the columns of a table whole."""
        return super().size if self.is_terminal else ConsoleDimensions(PIPED_WIDTH, 25)

    def say(self, text: str) -> None:
        """Print one line, which a terminal may fold and a pipe keeps whole."""
        self.print(text, soft_wrap=True)

    def show(self, table: Table) -> None:
        """Print a table, or where it is too narrow for that, each of its rows as lines of a heading and a value."""
        wide = replace(self.options, max_width=10_000)
        fits = self.measure(table, options=wide).minimum <= self.width
        self.print(table if fits else _stacked(table))

    def take(self, option: str) -> None:
        """Leave stdout to the file of an option; raises ValueError if it is another's, or closed."""
        if sys.stdout is None or self._taken:
            got = "none" if sys.stdout is None else f"it for {self._taken} too"
            raise ValueError(f"{option}: expected stdout, got {got}")
        self._taken, self.stderr = option, True

    def release(self) -> None:
        """Be stdout again, for a new command."""
        self._taken, self.stderr = "", False
        del self._buffer[:]

    def print(self, *objects: Any, **how: Any) -> None:
        """As Console.print; raises OSError that names the stream."""
        try:
            super().print(*objects, **how)
        except OSError as error:
            name = "stderr" if self.stderr else "stdout"
            raise OSError(error.errno, error.strerror, name) from None

    def on_broken_pipe(self) -> None:
        """Raise what was raised: Rich itself would end the process here."""
        raise


out = Output()
err = Output(stderr=True)


def tolerate(stream: TextIO | None) -> None:
    """Let a stream show what its encoding cannot express as escapes."""
    if stream is None or not hasattr(stream, "reconfigure"):
        return
    if not (stream.encoding.lower().startswith("utf") and stream.errors == "surrogateescape"):
        stream.reconfigure(errors="backslashreplace")


class Bar:
    """A progress bar over steps named in turn."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stage = ""
        self._task = progress.add_task("", total=1.0)

    def stage(self, text: str) -> None:
        """Name what runs now, and start from zero."""
        self._stage = text
        self._progress.reset(self._task, total=1.0, description=text)

    def __call__(self, fraction: float, detail: str = "") -> None:
        """Report the fraction done of the current stage."""
        text = f"{self._stage}: {detail}" if detail else self._stage
        self._progress.update(self._task, completed=fraction, description=text)


@contextmanager
def progress() -> Iterator[Bar]:
    """A bar on stderr that leaves nothing behind; none where stderr is no terminal."""
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    # Off a terminal an empty line would stay, and an error would be two lines.
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        yield Bar(bar)


class Silent(Bar):
    """A bar that nobody sees."""

    def __init__(self) -> None:
        super().__init__(Progress(disable=True))


@contextmanager
def status(text: str) -> Iterator[Any]:
    """What runs now, on stderr where that is a terminal; yields a function that replaces the text."""
    with err.status(Text(text)) as shown:
        yield lambda text: shown.update(Text(text))


def _stacked(table: Table) -> Table:
    """Rows below each other: a line for each of their cells."""
    lines = Table(title=table.title, show_header=False)
    lines.add_column(overflow="fold")
    lines.add_column(overflow="fold")
    headings = [" ".join(str(column.header).split()) for column in table.columns]
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        lines.add_section()
        for heading, cell in zip(headings, cells, strict=True):
            if str(cell):
                lines.add_row(heading, str(cell))
    return lines
