"""The cache: entries that are made once and checked at every use, whatever was killed or cut short meanwhile."""

import errno
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from golden.files import deferred_interrupt
from sim.errors import ToolError

__all__ = [
    "DAY",
    "MANIFEST",
    "SCRATCH",
    "Entry",
    "cache_folder",
    "clean",
    "entries",
    "entry",
    "find",
    "private_folder",
    "remove_orphans",
    "scratch",
]

MANIFEST = "manifest.json"
"""In every entry: what it is, and size and SHA-256 of each of its files."""

SCRATCH = "scratch"
"""Where entries are made. Beside each folder is a lock that its maker holds while it lives."""

DAY = 24 * 60 * 60
"""In seconds."""

_OTHER = (SCRATCH, "links")
"""Folders of the cache that hold no entries."""

_BEGUN = ("build-", "tmp", ".")
"""How the names of what earlier versions had begun begin."""


@dataclass(frozen=True)
class Entry:
    """Something in the cache: its kind (a folder of the cache), what it is, bytes, and when it was last used."""

    path: Path
    kind: str
    what: str
    size: int
    used: float


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


def find(kind: str, key: str) -> Path | None:
    """The folder of an entry, None where it is missing or damaged."""
    folder = cache_folder() / kind / key
    return folder if _whole(folder) else None


def entry(
    kind: str,
    key: str,
    make: Callable[[Path], object],
    what: str = "",
    products: Sequence[str] = (),
) -> tuple[Path, bool]:
    """The folder of an entry, and whether it was made now: by `make`, which fills an empty folder.

    It is made where it is missing or damaged, and appears whole. Of `products`, by default of all
    files, the manifest holds the digests. Raises ToolError where the cache cannot be written, and
    what `make` raises.
    """
    if (found := find(kind, key)) is not None:
        return found, False
    folder = cache_folder() / kind / key
    if folder.exists():
        print(f"tilebert: {folder}: damaged, is made again", file=sys.stderr)
    with _naming_the_cache(), scratch() as place:
        made = place / "entry"
        made.mkdir()
        make(made)
        _seal(made, what, products)
        folder.parent.mkdir(exist_ok=True)
        _install(made, folder, place / "old")
    return folder, True


def _install(made: Path, folder: Path, old: Path) -> None:
    """Move a new entry to its place, from which a damaged one goes first; another process may do the same."""
    for _ in range(10):
        if _whole(folder):
            return
        with suppress(FileNotFoundError):
            folder.rename(old)
            shutil.rmtree(old, ignore_errors=True)
        try:
            made.rename(folder)
            return
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
                raise
    raise ToolError(f"cache: expected a folder that no other process changes, got {folder}")


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty folder in the cache, removed at the end, or by a later process if this one is killed.

    Raises ToolError where the cache cannot be written.
    """
    root = cache_folder() / SCRATCH
    with _naming_the_cache():
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
            begun = path.name.startswith(_BEGUN) and path.parent.name in (
                "builds",
                "designs",
                "models",
            )
            if begun and time.time() - path.stat().st_mtime > DAY:
                _remove(path)


def entries() -> list[Entry]:
    """All that the cache holds but for links and what is being made, the largest first."""
    found = []
    root = cache_folder()
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if folder.name in _OTHER or not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            if path.name.startswith(_BEGUN):
                continue
            with suppress(OSError):
                found.append(
                    Entry(path, folder.name, _what(path), _size(path), path.lstat().st_mtime)
                )
    return sorted(found, key=lambda each: -each.size)


def clean(kinds: Sequence[str], older_than: float = 0) -> list[Entry]:
    """Remove orphans, and entries of some kinds last used longer ago than a number of seconds; returns those removed.

    Raises ToolError where the cache cannot be written.
    """
    remove_orphans()
    limit = time.time() - older_than
    removed = [each for each in entries() if each.kind in kinds and each.used <= limit]
    with _naming_the_cache():
        for each in removed:
            _remove(each.path)
    return removed


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


def _seal(folder: Path, what: str, products: Sequence[str]) -> None:
    names = products or sorted(path.name for path in folder.iterdir())
    files = {
        name: {"size": (folder / name).stat().st_size, "sha256": _digest(folder / name)}
        for name in names
    }
    (folder / MANIFEST).write_text(json.dumps({"what": what, "files": files}, indent=2) + "\n")


def _whole(folder: Path) -> bool:
    """Whether an entry is there and every file is as it was made."""
    try:
        files = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))["files"]
        for name, expected in files.items():
            path = folder / name
            if path.stat().st_size != expected["size"] or _digest(path) != expected["sha256"]:
                return False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False
    with suppress(OSError):
        os.utime(folder)
    return True


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _what(path: Path) -> str:
    try:
        return str(json.loads((path / MANIFEST).read_text(encoding="utf-8"))["what"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _size(path: Path) -> int:
    """Bytes of a file or of all files in a folder, without those that links lead to."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(_size(each) for each in path.iterdir())


def _remove(path: Path) -> None:
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
    else:
        # Another process may remove the same.
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


@contextmanager
def _naming_the_cache() -> Iterator[None]:
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
