"""What people see: tables on stdout, progress and errors on stderr."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

out = Console()
if not out.is_terminal:
    # Into a file or a pipe, a table keeps its columns whole.
    out.width = 132
err = Console(stderr=True)


def tell(text: str) -> None:
    """One line on stderr, under the program's name."""
    err.print(f"tilebert: {' '.join(text.split())}", markup=False, highlight=False, soft_wrap=True)


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
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    # Off a terminal an empty line would stay, and an error would be two lines.
    with Progress(*columns, console=err, transient=True, disable=not err.is_terminal) as bar:
        yield Bar(bar)


class Silent(Bar):
    """A bar that nobody sees."""

    def __init__(self) -> None:
        super().__init__(Progress(disable=True))
