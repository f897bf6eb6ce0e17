"""The cache: entries that are made once, installed atomically and verified at every use."""

import errno
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sim.errors import ToolError
from sim.storage import (
    DAY,
    LEGACY_PREFIXES,
    SCRATCH,
    cache_folder,
    disk_errors,
    private_folder,
    remove,
    remove_orphans,
    scratch,
)

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
"""File in every entry: its description, and size and SHA-256 of its files."""


_OTHER = (SCRATCH, "links")
"""Folders of the cache without entries."""


@dataclass(frozen=True)
class Entry:
    """Entry of the cache.

    `kind` is its folder in the cache, `what` its description, `size` in bytes, `used` the time of
    its last use.
    """

    path: Path
    kind: str
    what: str
    size: int
    used: float


def find(kind: str, key: str) -> Path | None:
    """Folder of an entry, or None if it is missing or damaged."""
    folder = cache_folder() / kind / key
    return folder if _whole(folder) else None


def entry(
    kind: str,
    key: str,
    make: Callable[[Path], object],
    what: str = "",
    products: Sequence[str] = (),
) -> tuple[Path, bool]:
    """Folder of an entry, and whether this call made it.

    A missing or damaged entry is made by `make`, which fills an empty folder, and is then installed
    atomically. The manifest has the digests of `products`, by default of all files; `what`
    describes the entry. Raises ToolError if the cache cannot be written to, and whatever `make`
    raises.
    """
    if (found := find(kind, key)) is not None:
        return found, False
    folder = cache_folder() / kind / key
    if folder.exists():
        print(f"tilebert: {folder}: damaged, is made again", file=sys.stderr)
    with disk_errors(), scratch() as empty:
        made = empty / "entry"
        made.mkdir()
        make(made)
        _seal(made, what, products)
        folder.parent.mkdir(exist_ok=True)
        _install(made, folder, empty / "old")
    return folder, True


def _install(made: Path, folder: Path, old: Path) -> None:
    """Move a new entry to `folder`, after moving a damaged one to `old`.

    Other processes may install the same entry at the same time.
    """
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


def entries() -> list[Entry]:
    """All finished entries of the cache, largest first."""
    found = []
    root = cache_folder()
    for folder in sorted(root.iterdir()) if root.is_dir() else []:
        if folder.name in _OTHER or not folder.is_dir():
            continue
        for path in sorted(folder.iterdir()):
            if path.name.startswith(LEGACY_PREFIXES):
                continue
            with suppress(OSError):
                found.append(
                    Entry(path, folder.name, _what(path), _size(path), path.lstat().st_mtime)
                )
    return sorted(found, key=lambda each: -each.size)


def clean(kinds: Sequence[str], older_than: float = 0) -> list[Entry]:
    """Remove orphans, and entries of `kinds` last used at least `older_than` seconds ago.

    Returns the removed entries. Raises ToolError if the cache cannot be written to.
    """
    remove_orphans()
    limit = time.time() - older_than
    removed = [each for each in entries() if each.kind in kinds and each.used <= limit]
    with disk_errors():
        for each in removed:
            remove(each.path)
    return removed


def _seal(folder: Path, what: str, products: Sequence[str]) -> None:
    names = products or sorted(path.name for path in folder.iterdir())
    files = {
        name: {"size": (folder / name).stat().st_size, "sha256": _digest(folder / name)}
        for name in names
    }
    (folder / MANIFEST).write_text(json.dumps({"what": what, "files": files}, indent=2) + "\n")


def _whole(folder: Path) -> bool:
    """Whether an entry exists and all its files match the manifest; marks it as used."""
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
    """Bytes of a file or of all files in a folder; links are not followed."""
    if path.is_symlink() or not path.is_dir():
        return path.lstat().st_size
    return sum(_size(each) for each in path.iterdir())
