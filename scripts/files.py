"""Files in and out: arrays that are checked, outputs that are whole or not there."""

import io
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from golden import files
from golden.arrays import load_array


def read_array(path: Path, option: str, dimensions: int) -> NDArray[Any]:
    """An integer array of that many dimensions from a .npy file.

    Raises ValueError naming the option for a file that is missing, empty, no .npy file, or holds something else.
    """
    if not path.is_file():
        raise ValueError(f"{option}: expected a .npy file, got {path} (no such file)")
    try:
        with path.open("rb") as file:
            array = load_array(file)
    except (ValueError, OSError) as error:
        raise ValueError(f"{option}: expected a .npy file, got {path} ({error})") from None
    if array.dtype.kind not in "iu":
        raise ValueError(f"{option}: expected integers, got {array.dtype}")
    if array.ndim != dimensions or 0 in array.shape:
        raise ValueError(
            f"{option}: expected a non-empty array of {dimensions} dimensions, got shape {array.shape}"
        )
    return array


def check_place(path: Path | None, option: str) -> None:
    """Raise ValueError naming the option if `path` cannot become a file: to know it before a long run."""
    if path is not None and (path.is_dir() or not path.parent.is_dir()):
        raise ValueError(f"{option}: expected a file in an existing folder, got {path}")


def check_folder(path: Path | None, option: str) -> None:
    """Raise ValueError naming the option if `path` cannot become a folder: to know it before a long run."""
    if path is not None:
        existing = next(place for place in (path, *path.parents) if place.exists())
        if not existing.is_dir():
            raise ValueError(f"{option}: expected a folder, got the file {existing}")


def make_folder(path: Path, option: str) -> None:
    """Make a folder and those above it; raises ValueError naming the option."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(f"{option}: expected a writable place, got {path} ({error.strerror})") from None


def write_atomically(path: Path, option: str, write: Callable[[BinaryIO], object]) -> None:
    """Write a file beside `path`, then rename it: readers see the old file or the whole new one.

    Raises ValueError naming the option.
    """
    # NumPy writes to a real file past Python, and does not say why that fails.
    content = io.BytesIO()
    write(content)
    try:
        files.write_bytes(path, content.getvalue())
    except OSError as error:
        raise ValueError(f"{option}: expected a writable place, got {path} ({error.strerror})") from None


def write_array(path: Path, option: str, array: NDArray[Any]) -> None:
    """Write a .npy file."""
    write_atomically(path, option, lambda file: np.save(file, array))


def write_text(path: Path, option: str, text: str) -> None:
    """Write a text file."""
    write_atomically(path, option, lambda file: file.write(text.encode()))


def write_json(path: Path | None, record: Mapping[str, Any]) -> None:
    """Write the record of --json, if asked for."""
    if path is not None:
        write_text(path, "--json", json.dumps(record, indent=2) + "\n")
