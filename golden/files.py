"""Files that are written whole or not at all, through links, and into pipes and devices."""

import errno
import fcntl
import os
import signal
import stat
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

__all__ = ["UNFINISHED", "deferred_interrupt", "is_stream", "replacing", "resolved", "write_bytes"]

UNFINISHED = ".unfinished"
"""How the names of files end that are being written."""


@contextmanager
def deferred_interrupt() -> Iterator[None]:
    """Within it control-C waits: whoever makes a file there knows its name before anything is raised."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    pending: list[tuple[Any, ...]] = []
    before = signal.signal(signal.SIGINT, lambda *arguments: pending.append(arguments))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if pending and callable(before):
            before(*pending[0])


def is_stream(path: Path) -> bool:
    """Whether `path` is there and no regular file: a FIFO, a device, a socket; through links."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def resolved(path: Path) -> Path:
    """Where a path leads to, through links, there or not.

    Raises OSError for links that lead in a circle.
    """
    place = Path(os.path.realpath(path))
    if place.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    # Raises for a name that is too long.
    place.exists()
    return place


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new, empty file to write, which takes the place of `path` at the end, or is removed after an error.

    It is beside the file that `path` leads to: a link stays a link. What a killed process had begun
    to write in that place is removed. Raises OSError; its `filename` is `path`.
    """
    scratch, lock = None, -1
    try:
        place = resolved(path)
        # Part of the name, because a name as long as a folder allows has no room for more.
        prefix = f".{place.name[:40]}."
        _remove_orphans(place.parent, prefix)
        with deferred_interrupt():
            scratch, lock = _locked(place.parent, prefix)
        yield scratch
        # mkstemp makes private files; the result is an ordinary one.
        umask = os.umask(0)
        os.umask(umask)
        scratch.chmod(0o666 & ~umask)
        os.replace(scratch, place)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)
            os.close(lock)


def _locked(folder: Path, prefix: str) -> tuple[Path, int]:
    """A new file, and a descriptor that locks it while this process lives."""
    while True:
        lock, name = tempfile.mkstemp(prefix=prefix, suffix=UNFINISHED, dir=folder)
        # Not every file system has locks; nothing is taken for an orphan there.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Who looked for orphans before it was locked may have removed it.
        if os.fstat(lock).st_nlink:
            return Path(name), lock
        os.close(lock)


def _remove_orphans(folder: Path, prefix: str) -> None:
    """Remove unfinished files that no living process has locked."""
    for entry in os.scandir(folder):
        if not (entry.name.startswith(prefix) and entry.name.endswith(UNFINISHED)):
            continue
        with suppress(OSError):
            lock = os.open(entry.path, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.unlink(entry.path)
            finally:
                os.close(lock)


def write_bytes(path: Path, content: bytes) -> None:
    """Write a file whole, as `replacing` does; what is no regular file takes the bytes as they are.

    Raises OSError; its `filename` is `path`.
    """
    if is_stream(path):
        try:
            with path.open("wb", buffering=0) as file:
                view = memoryview(content)
                while view:
                    view = view[file.write(view) :]
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from None
        return
    with replacing(path) as scratch:
        scratch.write_bytes(content)
