"""Storage of the cache: its folder, locked scratch folders, and disk errors."""

import errno
import fcntl
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from golden.files import deferred_interrupt
from sim.errors import ToolError

__all__ = [
    "DAY",
    "LEGACY_PREFIXES",
    "SCRATCH",
    "cache_folder",
    "disk_errors",
    "private_folder",
    "remove",
    "remove_orphans",
    "scratch",
]

SCRATCH = "scratch"
"""Folder in which entries are made.

Each scratch folder has a lock file beside it, which its process holds.
"""

DAY = 24 * 60 * 60
"""Seconds of a day."""

LEGACY_PREFIXES = ("build-", "tmp", ".")
"""Prefixes of unfinished entries of earlier versions, which had no locks."""

_DISK = (
    errno.EACCES,
    errno.EDQUOT,
    errno.EEXIST,
    errno.EIO,
    errno.ENAMETOOLONG,
    errno.ENOSPC,
    errno.ENOTDIR,
    errno.EPERM,
    errno.EROFS,
)
"""Error numbers of a disk that is full, read-only or inaccessible."""


def cache_folder() -> Path:
    """Folder of the cache: $TILEBERT_CACHE, else ~/.cache/tilebert.

    Without a home folder it is a private folder among temporary files.
    """
    given = os.environ.get("TILEBERT_CACHE")
    if given:
        return Path(given).absolute()
    try:
        return (Path.home() / ".cache" / "tilebert").absolute()
    except RuntimeError:
        return private_folder(Path(tempfile.gettempdir()))


def private_folder(parent: Path) -> Path:
    """Create or find this user's folder in a world-writable folder `parent`.

    Raises ToolError if it belongs to another user.
    """
    folder = parent / f"tilebert-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise ToolError(f"cache: expected a folder of this user, got {folder}; set TILEBERT_CACHE")
    return folder


@contextmanager
def scratch() -> Iterator[Path]:
    """Context of an empty folder in the cache, removed at the end.

    If this process is killed, a later process removes the folder. Raises ToolError if the cache
    cannot be written to.
    """
    root = cache_folder() / SCRATCH
    with disk_errors():
        root.mkdir(parents=True, exist_ok=True)
        remove_orphans()
        with deferred_interrupt():
            folder, lock = _locked(root)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _lock_of(folder).unlink(missing_ok=True)
        os.close(lock)


def remove_orphans() -> None:
    """Remove the scratch folders of killed processes, which are those without a held lock."""
    root = cache_folder()
    for path in (root / SCRATCH).glob("*.lock"):
        with suppress(OSError):
            lock = os.open(path, os.O_RDWR)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path.with_suffix(""), ignore_errors=True)
                path.unlink(missing_ok=True)
            finally:
                os.close(lock)
    # Remove unfinished entries of versions without locks; after a day no build still runs.
    for path in root.glob("*/*"):
        with suppress(OSError):
            begun = path.name.startswith(LEGACY_PREFIXES) and path.parent.name in (
                "builds",
                "designs",
                "models",
            )
            if begun and time.time() - path.stat().st_mtime > DAY:
                remove(path)


def _locked(root: Path) -> tuple[Path, int]:
    """Create a scratch folder and a descriptor that holds its lock.

    Another process that removes orphans may hold a new lock for a moment.
    """
    while True:
        folder = root / secrets.token_hex(8)
        path = _lock_of(folder)
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            continue
        except OSError:
            pass  # On a file system without locks, no folder counts as an orphan.
        if path.exists():
            folder.mkdir()
            return folder, lock
        os.close(lock)


def _lock_of(folder: Path) -> Path:
    return folder.with_suffix(".lock")


def remove(path: Path) -> None:
    """Remove a file, link or folder."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        # Another process may remove the same folder.
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Context that raises ToolError for an error of the cache's disk; other errors pass."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        if error.filename is None:
            # An error on an open file lacks its name: the file is in the cache or a temporary one.
            folders = f"{cache_folder()} or {tempfile.gettempdir()}"
            raise ToolError(f"{folders}: {error.strerror}; set TILEBERT_CACHE or TMPDIR") from error
        if not Path(os.fsdecode(error.filename)).is_relative_to(cache_folder()):
            raise
        raise ToolError(
            f"cache: expected a folder to write, got {error.filename} ({error.strerror}); "
            "set TILEBERT_CACHE"
        ) from error
