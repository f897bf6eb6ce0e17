"""The state of the project's code, as a digest: what other code computed is not taken for this code's.

A digest covers the modules that it is asked for and every module of the project that these import,
directly or through others. So an edit of code that a result does not depend on leaves its digest,
wherever the files are.

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
"""The folder of the project's packages."""

DATA = {".cpp", ".h", ".v", ".txt"}
"""Endings of files that code reads beside itself."""


def digest(*modules: str, root: Path = ROOT) -> str:
    """SHA-256 over the names and content of the files that `modules` depend on, as `files` lists them."""
    return content(*files(modules, root), root=root)


def content(*paths: Path, root: Path = ROOT) -> str:
    """SHA-256 over the places and content of some files of the project."""
    result = hashlib.sha256()
    for path in paths:
        text = path.read_bytes()
        result.update(f"{path.relative_to(root)} {len(text)}\n".encode())
        result.update(text)
    return result.hexdigest()


def files(modules: Iterable[str], root: Path = ROOT) -> list[Path]:
    """The files of `modules`, of all that they import of the project, and the data in the same folders, sorted.

    An import inside a function counts; one by name (`import_module`) does not. Raises ValueError
    for a name that is no module of the project.
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
    """Names that a file imports; of `from a import b`, where b may be a module, a.b."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _paths(name: str, root: Path) -> list[Path]:
    """The files that run when `name` is imported: those of its packages, and its own if it is a module."""
    parts = name.split(".")
    paths = (_path(".".join(parts[:count]), root) for count in range(1, len(parts) + 1))
    return [path for path in paths if path is not None]


def _path(name: str, root: Path) -> Path | None:
    place = root.joinpath(*name.split("."))
    for path in (place.with_suffix(".py"), place / "__init__.py"):
        if path.is_file():
            return path
    return None


def _data(folder: Path) -> Iterable[Path]:
    """Files of data in a folder, and in those below it that are no packages."""
    for path in folder.iterdir():
        if path.suffix in DATA and path.is_file():
            yield path
        elif path.is_dir() and not (path / "__init__.py").exists():
            yield from _data(path)


if __name__ == "__main__":
    print(digest(*sys.argv[1:]))
