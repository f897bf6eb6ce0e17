"""Files of records, a line or more each.

They grow by whole records, and a record that was cut short is dropped when they are read.
"""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from golden.files import write_bytes
from scripts.console import err

Whole = Callable[[bytes], bytes]
"""The part of a file's content that is whole records.

The last record may get the newline that alone it lacks. Raises ValueError, which describes the
first line, for a file of something else.
"""


def read(path: Path, whole: Whole) -> list[str]:
    """The lines of a file that are whole records, none if it is not there.

    What is cut short at its end is said in a line on stderr. Raises ValueError, with file and line,
    for bytes that are no UTF-8.
    """
    content = _content(path)
    kept = _whole(path, content, whole)
    _say(path, content, kept)
    return _lines(path, kept)


def mend(path: Path, whole: Whole) -> None:
    """Remove from the end of a file what is cut short, and say so in a line on stderr.

    Raises ValueError for a file of something else, which stays as it is.
    """
    with _locked(path):
        content = _content(path)
        kept = _whole(path, content, whole)
        if kept != content:
            write_bytes(path, kept)
    _say(path, content, kept)


def append(path: Path, whole: Whole, text: Callable[[bool], str]) -> None:
    """Append `text` to the whole records of a file, all of it or nothing.

    Other processes may append too. `text` is called with whether it is the first in the file.
    Raises OSError.
    """
    with _locked(path):
        kept = _whole(path, _content(path), whole)
        write_bytes(path, kept + text(not kept).encode())


def whole_lines(content: bytes) -> bytes:
    """What ends with a newline."""
    return content[: content.rfind(b"\n") + 1]


def _content(path: Path) -> bytes:
    return path.read_bytes() if path.exists() else b""


def _whole(path: Path, content: bytes, whole: Whole) -> bytes:
    try:
        return whole(content)
    except ValueError as error:
        raise ValueError(f"{path}:1: {error}") from None


def first_line(content: bytes) -> str:
    """The first line of a file, whatever its bytes are."""
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
    """Among processes that append to files in one folder, one at a time."""
    folder = os.open(Path(os.path.realpath(path)).parent, os.O_RDONLY)
    try:
        # Not every file system has locks; there one process appends.
        with suppress(OSError):
            fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
