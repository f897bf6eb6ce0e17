"""The state of the project's code, as a digest: what was computed by other code is not taken for this code's."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

KINDS = {".py", ".cpp", ".h", ".v", ".txt", ".json"}
"""Endings of files that are code, or data that code reads."""


def digest(packages: Iterable[ModuleType]) -> str:
    """SHA-256 of every file of the packages: its place in its package, and its content."""
    result = hashlib.sha256()
    for package in packages:
        folder = Path(package.__path__[0])
        for path in sorted(folder.rglob("*")):
            if path.suffix in KINDS and path.is_file():
                content = path.read_bytes()
                result.update(f"{package.__name__}/{path.relative_to(folder)} {len(content)}\n".encode())
                result.update(content)
    return result.hexdigest()
