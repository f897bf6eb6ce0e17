"""Files of records; a record has one or more lines.

Writers append only whole records. Readers drop an incomplete record at the end of the file.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from golden.files import write_bytes
from scripts.console import err

Whole = Callable[[bytes], bytes]
"""Function from a file's content to the part of it that consists of whole records.

If the last record lacks only its newline, the function adds it. It raises ValueError, which
describes the first line, for a file with other content.
"""


def read(path: Path, whole: Whole) -> list[str]:
    """The lines of a file that belong to whole records; none if the file does not exist.

    An incomplete record at its end is reported in a line on stderr. Raises ValueError, with file
    and line, for bytes that are not UTF-8.
    """
    content = _content(path)
    kept = _whole(path, content, whole)
    _say(path, content, kept)
    return _lines(path, kept)


def mend(path: Path, whole: Whole) -> None:
    """Remove an incomplete record from the end of a file, with a line on stderr.

    Raises ValueError for a file with other content, and leaves that file unchanged.
    """
    with _locked(path):
        content = _content(path)
        kept = _whole(path, content, whole)
        if kept != content:
            write_bytes(path, kept)
    _say(path, content, kept)


def append(path: Path, whole: Whole, text: Callable[[bool], str]) -> None:
    """Append the text that `text` returns after the whole records of a file, all of it or nothing.

    Other processes may append too. `text` is called with True if the file has no records yet.
    Raises OSError.
    """
    with _locked(path):
        kept = _whole(path, _content(path), whole)
        write_bytes(path, kept + text(not kept).encode())


def whole_lines(content: bytes) -> bytes:
    """The content up to and including its last newline."""
    return content[: content.rfind(b"\n") + 1]


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _whole(path: Path, content: bytes, whole: Whole) -> bytes:
    try:
        return whole(content)
    except ValueError as error:
        raise ValueError(f"{path}:1: {error}") from None


def first_line(content: bytes) -> str:
    """The first line of a file as text; bytes that are not UTF-8 become escapes."""
    return content.partition(b"\n")[0].rstrip(b"\r").decode(errors="backslashreplace")


def _lines(path: Path, content: bytes) -> list[str]:
    lines = []
    for number, line in enumerate(content.splitlines(), 1):
        try:
            lines.append(line.decode())
        except UnicodeDecodeError as error:
            raise ValueError(
                f"{path}:{number}: expected UTF-8, got byte {line[error.start]:#x}"
            ) from None
    return lines


def _say(path: Path, content: bytes, kept: bytes) -> None:
    if len(kept) >= len(content):
        return
    first, last = kept.count(b"\n") + 1, len(content.splitlines())
    lines = f"{first}" if first == last else f"{first} to {last}"
    message = f"tilebert: {path}:{lines}: cut short, is dropped"
    err.print(message, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Context that locks the folder of `path`, so that one process at a time appends there."""
    folder = os.open(Path(os.path.realpath(path)).parent, os.O_RDONLY)
    try:
        # Some file systems have no locks. On these, only one process may append.
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
