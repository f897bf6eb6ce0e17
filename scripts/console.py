"""What people see: tables on stdout, progress and errors on stderr."""

import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import parent_process

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

out = Console()
if not out.is_terminal:
    # Into a file or a pipe, a table keeps its columns whole.
    out.width = 132
err = Console(stderr=True)


def tell(text: str) -> None:
    """One line on stderr, under the program's name; each text once, and not from a command's worker processes."""
    if text not in _told and parent_process() is None:
        err.print(f"tilebert: {' '.join(text.split())}", markup=False, highlight=False, soft_wrap=True)
    _told.add(text)


_told: set[str] = set()


@contextmanager
def warnings_told() -> Iterator[None]:
    """Tell what is warned of inside, instead of printing where."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield
    for warning in caught:
        tell(str(warning.message))


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
def progress(lines: bool = False) -> Iterator[Bar]:
    """A bar on stderr that leaves nothing behind; where stderr is no terminal, with `lines`, a `Log`, else nothing."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    # Off a terminal an empty line would stay, and an error would be two lines.
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        yield Bar(bar) if err.is_terminal or not lines else Log()


class Log(Bar):
    """Progress as lines on stderr: every stage, and within one a line in `seconds`."""

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
    """A bar that nobody sees."""

    def __init__(self) -> None:
        super().__init__(Progress(disable=True))
