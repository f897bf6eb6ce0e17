"""Output for people: tables on stdout, progress and errors on stderr.

Rich does not interpret markup in texts: they are shown unchanged.
"""

import os
import sys
import textwrap
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import parent_process
from typing import Any, TextIO

from rich.cells import cell_len
from rich.console import Console, ConsoleDimensions
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

PIPED_WIDTH = 132
"""Columns of a file or a pipe."""


class Output(Console):
    """A console that prints brackets in texts literally, not as markup.

    It prints to stdout, or to stderr while a command writes a file to stdout.
    """

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=not stderr)
        self._taken = ""

    @property  # type: ignore[misc]
    def size(self) -> ConsoleDimensions:
        """The terminal's size; for a pipe or file, a width at which table columns are not cut."""
        if not self.is_terminal:
            return ConsoleDimensions(PIPED_WIDTH, 25)
        # Rich reads COLUMNS only when the console is made; read it again here.
        size, columns = super().size, os.environ.get("COLUMNS", "")
        return (
            ConsoleDimensions(int(columns), size.height)
            if columns.isdigit() and int(columns)
            else size
        )

    def say(self, text: str) -> None:
        """Print one line.

        If stdout is a terminal, the line is folded between words; no word is cut.
        """
        if self.is_terminal and not self.stderr:
            text = textwrap.fill(text, self.width, break_long_words=False, break_on_hyphens=False)
        self.print(text, soft_wrap=True)

    def show(self, table: Table) -> None:
        """Print a table; if it is too wide, print a line of heading and value per cell instead."""
        if _least_width(table) <= self.width:
            self.print(table)
        else:
            self.print(_stacked(table), soft_wrap=True)

    def take(self, option: str) -> None:
        """Reserve stdout for the file of an option; the console then prints to stderr.

        Raises ValueError if another option has reserved stdout, or if stdout is closed.
        """
        if sys.stdout is None or self._taken:
            got = "none" if sys.stdout is None else f"it for {self._taken} too"
            raise ValueError(f"{option}: expected stdout, got {got}")
        self._taken, self.stderr = option, True

    def release(self) -> None:
        """End the reservation of stdout, so that the console of a new command prints there."""
        self._taken, self.stderr = "", False
        del self._buffer[:]

    def print(self, *objects: Any, **how: Any) -> None:
        """Print as Rich's Console does; raises OSError that names the stream."""
        try:
            super().print(*objects, **how)
        except OSError as error:
            name = "stderr" if self.stderr else "stdout"
            raise OSError(error.errno, error.strerror, name) from None

    def on_broken_pipe(self) -> None:
        """Raise the exception again, because Rich's own method would end the process."""
        raise


out = Output()
err = Output(stderr=True)


def tolerate(stream: TextIO | None) -> None:
    """Make a stream print escapes for characters that its encoding cannot represent."""
    if stream is None or not hasattr(stream, "reconfigure"):
        return
    if not (stream.encoding.lower().startswith("utf") and stream.errors == "surrogateescape"):
        stream.reconfigure(errors="backslashreplace")


def tell(text: str) -> None:
    """Print a line on stderr under the program's name.

    A text is printed only once, and worker processes of a command print nothing.
    """
    if text not in _told and parent_process() is None:
        err.print(
            f"tilebert: {' '.join(text.split())}", markup=False, highlight=False, soft_wrap=True
        )
    _told.add(text)


_told: set[str] = set()


@contextmanager
def warnings_told() -> Iterator[None]:
    """Context that prints Python warnings as messages, without file and line of the code."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        tell(str(warning.message))


class Bar:
    """A progress bar of consecutive stages, each with a name."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._stage = ""
        self._task = progress.add_task("", total=1.0)

    def stage(self, text: str) -> None:
        """Start the stage named `text` at fraction 0."""
        self._stage = text
        self._progress.reset(self._task, total=1.0, description=text)

    def __call__(self, fraction: float, detail: str = "") -> None:
        """Report the fraction done of the current stage."""
        text = f"{self._stage}: {detail}" if detail else self._stage
        self._progress.update(self._task, completed=fraction, description=text)


@contextmanager
def progress(lines: bool = False) -> Iterator[Bar]:
    """Context of a progress bar on stderr, which is erased at the end.

    If stderr is not a terminal, the context yields a `Log` if `lines` is set, else a bar that
    prints nothing.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    # If stderr is not a terminal, an enabled bar would leave an empty line before an error.
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        yield Bar(bar) if err.is_terminal or not lines else Log()


class Log(Bar):
    """Progress as lines on stderr: one per stage, and at most one per `seconds` within a stage."""

    def __init__(self, seconds: float = 30, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(Progress(disable=True))
        self._seconds, self._clock = seconds, clock
        self._last = clock()

    def stage(self, text: str) -> None:
        super().stage(text)
        self._print(text)

    def __call__(self, fraction: float, detail: str = "") -> None:
        if self._clock() - self._last >= self._seconds:
            self._print(f"{self._stage}: {detail or f'{fraction:.0%}'}")

    def _print(self, text: str) -> None:
        err.print(text, markup=False, highlight=False, soft_wrap=True)
        self._last = self._clock()


class Silent(Bar):
    """A bar that shows nothing."""

    def __init__(self) -> None:
        super().__init__(Progress(disable=True))


@contextmanager
def status(text: str) -> Iterator[Any]:
    """Context that shows the current step on stderr if stderr is a terminal.

    Yields a function that replaces the text.
    """
    with err.status(Text(text)) as shown:
        yield lambda text: shown.update(Text(text))


def _least_width(table: Table) -> int:
    """The least width at which a table breaks no word and no line of its no-wrap columns."""
    total = 1
    for column in table.columns:
        texts = [str(column.header), *map(str, column.cells)]
        parts = [
            part
            for text in texts
            for part in (text.splitlines() if column.no_wrap else text.split())
        ]
        total += max(map(cell_len, parts), default=0) + _FRAME
    return total


_FRAME = 3
"""Columns around a cell: padding on both sides, and a line."""


def _stacked(table: Table) -> str:
    """The rows of a table as blocks of lines, one line per cell."""
    headings = [" ".join(str(column.header).split()) for column in table.columns]
    width = max(map(len, headings), default=0)
    blocks = [str(table.title)] if table.title else []
    for cells in zip(*(column.cells for column in table.columns), strict=True):
        named = zip(headings, map(str, cells), strict=True)
        blocks.append("\n".join(f"{heading:{width}}  {cell}" for heading, cell in named if cell))
    return "\n\n".join(blocks) + "\n"
