"""Digests of source code, used in cache keys.

A digest covers the given modules and all modules of the project that they import, directly or
indirectly. An edit of other code therefore leaves the digest unchanged.

`python -m sim.sources MODULE...` prints the digest; the Makefile compares it with that of a
sign-off.
"""

import ast
import hashlib
import sys
from collections.abc import Iterable
from pathlib import Path

__all__ = ["DATA", "ROOT", "content", "digest", "files"]

ROOT = Path(__file__).parents[1]
"""Folder that contains the project's packages."""

DATA = {".cpp", ".h", ".v", ".txt"}
"""Suffixes of data files that code reads from its own folder."""


def digest(*modules: str, root: Path = ROOT) -> str:
    """SHA-256 over names and content of all files that `modules` depend on (see `files`)."""
    return content(*files(modules, root), root=root)


def content(*paths: Path, root: Path = ROOT) -> str:
    """SHA-256 over relative paths and content of files of the project."""
    result = hashlib.sha256()
    for path in paths:
        text = path.read_bytes()
        result.update(f"{path.relative_to(root)} {len(text)}\n".encode())
        result.update(text)
    return result.hexdigest()


def files(modules: Iterable[str], root: Path = ROOT) -> list[Path]:
    """Sorted files of `modules` and of all that they import, with the data files beside them.

    Imports inside functions count; dynamic imports (`import_module`) do not. Raises ValueError for
    a name that is not a module of the project.
    """
    found: set[Path] = set()
    waiting = []
    for name in modules:
        paths = _paths(name, root)
        if not paths or paths[-1] != _path(name, root):
            raise ValueError(f"module: expected one in {root}, got {name!r}")
        waiting += paths
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            for name in _imported(path):
                waiting += _paths(name, root)
    for folder in {path.parent for path in found}:
        found |= set(_data(folder))
    return sorted(found)


def _imported(path: Path) -> Iterable[str]:
    """Names that a file imports; `from a import b` yields a.b, since b may be a module."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _paths(name: str, root: Path) -> list[Path]:
    """Files that an import of `name` executes: those of its packages and, if any, the module's."""
    parts = name.split(".")
    paths = (_path(".".join(parts[:count]), root) for count in range(1, len(parts) + 1))
    return [path for path in paths if path is not None]


def _path(name: str, root: Path) -> Path | None:
    stem = root.joinpath(*name.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return path
    return None


def _data(folder: Path) -> Iterable[Path]:
    """Data files in a folder and in its subfolders that are not packages."""
    for path in folder.iterdir():
        if path.suffix in DATA and path.is_file():
            yield path
        elif path.is_dir() and not (path / "__init__.py").exists():
            yield from _data(path)


if __name__ == "__main__":
    print(digest(*sys.argv[1:]))
