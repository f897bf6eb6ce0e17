"""Storage of the cache: its folder, scratch folders that survive no kill, and disk errors."""

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
"""Where entries are made. Beside each folder is a lock that its maker holds while it lives."""

DAY = 24 * 60 * 60
"""In seconds."""

LEGACY_PREFIXES = ("build-", "tmp", ".")
"""How the names of what earlier versions had begun begin."""

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


def cache_folder() -> Path:
    """The cache: $TILEBERT_CACHE, or ~/.cache/tilebert, or where there is no home a folder for temporary files."""
    given = os.environ.get("TILEBERT_CACHE")
    if given:
        return Path(given).absolute()
    try:
        return (Path.home() / ".cache" / "tilebert").absolute()
    except RuntimeError:
        return private_folder(Path(tempfile.gettempdir()))


def private_folder(parent: Path) -> Path:
    """A folder of this user's in one where all may write; raises ToolError if another user made it."""
    folder = parent / f"tilebert-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.getuid():
        raise ToolError(f"cache: expected a folder of this user, got {folder}; set TILEBERT_CACHE")
    return folder


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder in the cache, removed at the end, or by a later process if this one is killed.

    Raises ToolError where the cache cannot be written.
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
    """Remove what killed processes have left: what is locked has a maker that lives."""
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
    # Of versions without locks; nothing takes a day to build.
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
    """A new folder, and the descriptor that locks it.

    Who removes orphans may hold a new lock for a moment.
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
            pass  # A file system without locks: nothing is taken for an orphan there.
        if path.exists():
            folder.mkdir()
            return folder, lock
        os.close(lock)


def _lock_of(folder: Path) -> Path:
    return folder.with_suffix(".lock")


def remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        # Another process may remove the same.
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


@contextmanager
def disk_errors() -> Iterator[None]:
    """Raise ToolError for what a full or read-only disk raises."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK:
            raise
        if error.filename is None:
            # Of an open file, in the cache or a temporary one.
            places = f"{cache_folder()} or {tempfile.gettempdir()}"
            raise ToolError(f"{places}: {error.strerror}; set TILEBERT_CACHE or TMPDIR") from error
        if not Path(os.fsdecode(error.filename)).is_relative_to(cache_folder()):
            raise
        raise ToolError(
            f"cache: expected a folder to write, got {error.filename} ({error.strerror}); set TILEBERT_CACHE"
        ) from error
