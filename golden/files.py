"""Atomic file writing: a file is replaced whole or not at all.

Links are followed; pipes and devices are written to directly.
"""

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
"""Suffix of the names of files that are being written."""


@contextmanager
def deferred_interrupt() -> Iterator[None]:
    """Defer control-C to the end of the block, so that no file made in the block is left behind."""
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
    """Whether `path`, through links, exists and is a FIFO, device or socket."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def resolved(path: Path) -> Path:
    """Resolve links in `path`, whose last part need not exist.

    Raises OSError for a circle of links and for a name that is too long.
    """
    target = Path(os.path.realpath(path))
    if target.is_symlink():
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    # Raises for a name that is too long.
    target.exists()
    return target


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Context of a new empty file that replaces `path` at the end, or is removed after an error.

    The new file is in the folder of the file that `path` leads to, so a link stays a link.
    Unfinished files that killed processes left for the same path are removed. Raises OSError; its
    `filename` is `path`.
    """
    scratch, lock = None, -1
    try:
        target = resolved(path)
        # Use at most 40 characters: a name of the maximum length leaves no room for a suffix.
        prefix = f".{target.name[:40]}."
        _remove_orphans(target.parent, prefix)
        with deferred_interrupt():
            scratch, lock = _locked(target.parent, prefix)
        yield scratch
        # mkstemp makes private files; set the permissions of an ordinary new file.
        umask = os.umask(0)
        os.umask(umask)
        scratch.chmod(0o666 & ~umask)
        os.replace(scratch, target)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from None
    finally:
        if scratch is not None:
            scratch.unlink(missing_ok=True)
            os.close(lock)


def _locked(folder: Path, prefix: str) -> tuple[Path, int]:
    """Create a file and a descriptor that holds its lock while this process lives."""
    while True:
        lock, name = tempfile.mkstemp(prefix=prefix, suffix=UNFINISHED, dir=folder)
        # On a file system without locks, no file counts as an orphan.
        with suppress(OSError):
            fcntl.flock(lock, fcntl.LOCK_EX)
        # Another process may have removed the file as an orphan before it was locked.
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
    """Write a file atomically, as `replacing` does; a stream receives the bytes directly.

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
