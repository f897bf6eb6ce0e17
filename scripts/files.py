"""Input and output files: checked arrays, atomic outputs, and `-` for stdin or stdout."""

import io
import json
import os
import stat
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from golden import files
from golden.arrays import load_array
from scripts.console import out

STDIO = Path("-")
"""Path that means stdin for an input and stdout for an output."""

MOST = 1 << 30
"""Most bytes that are read from a pipe, because a pipe may never end."""


def check_stdin(**paths: Path | None) -> None:
    """Raise ValueError naming an option if two options name stdin as their input."""
    first, *more = [name for name, path in paths.items() if path == STDIO] or [""]
    if more:
        raise ValueError(f"--{more[0]}: expected a file, got - that --{first} has too")


def read_bytes(path: Path, option: str, what: str) -> bytes:
    """The content of a file, a pipe or stdin.

    Raises ValueError that names the option and the expected content `what`.
    """
    try:
        if path != STDIO and _descriptor(path) != 0:
            with path.open("rb") as file:
                kind = os.fstat(file.fileno()).st_mode
                if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
                    # Some devices and pipes never end.
                    raise ValueError(f"{option}: expected {what}, got {path} (a device)")
                content = file.read(-1 if stat.S_ISREG(kind) else MOST + 1)
                most = len(content) if stat.S_ISREG(kind) else MOST
        elif sys.stdin is None:
            raise ValueError(f"{option}: expected {what}, got {path} (stdin is closed)")
        else:
            content, most = sys.stdin.buffer.read(MOST + 1), MOST
    except FileNotFoundError:
        raise ValueError(f"{option}: expected {what}, got {path} (no such file)") from None
    except OSError as error:
        raise ValueError(f"{option}: expected {what}, got {path} ({error.strerror})") from None
    if len(content) > most:
        raise ValueError(f"{option}: expected {what}, got {path} (more than {MOST >> 20} MiB)")
    return content


def read_text(path: Path, option: str, what: str) -> str:
    """The text of a file in UTF-8, read as by `read_bytes`."""
    try:
        return read_bytes(path, option, what).decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{option}: expected {what}, got {path} (not UTF-8 at byte {error.start})"
        ) from None


def read_array(path: Path, option: str, dimensions: int) -> NDArray[Any]:
    """An integer array of that many dimensions from a .npy file, a pipe or stdin.

    Raises ValueError naming the option for a file that is missing, is empty, is not a .npy file, or
    contains anything but such an array.
    """
    content = io.BytesIO(read_bytes(path, option, "a .npy file"))
    try:
        array = load_array(content)
    except ValueError as error:
        raise ValueError(f"{option}: expected a .npy file, got {path} ({error})") from None
    if array.dtype.kind not in "iu":
        raise ValueError(f"{option}: expected integers, got {array.dtype}")
    if array.ndim != dimensions or 0 in array.shape:
        raise ValueError(
            f"{option}: expected a non-empty array of {dimensions} dimensions, got shape "
            f"{array.shape}"
        )
    return array


def check_file(path: Path, option: str) -> None:
    """Raise ValueError naming the option if `path` exists and is not a regular file."""
    if path == STDIO or (os.path.exists(path) and not os.path.isfile(path)):
        raise ValueError(f"{option}: expected a file, got {path}")


def check_place(path: Path | None, option: str) -> None:
    """Raise ValueError naming the option if `path` cannot be written, before a long run.

    If the path is stdout, the command prints its text to stderr from now on.
    """
    if path is None:
        return
    if _descriptor(path) == 1:
        out.take(option)
        return
    try:
        place = files.resolved(path)
    except OSError as error:
        raise ValueError(
            f"{option}: expected a writable place, got {path} ({error.strerror})"
        ) from None
    if place.is_dir() or not place.parent.is_dir():
        raise ValueError(f"{option}: expected a file in an existing folder, got {path}")
    if not os.access(place if files.is_stream(place) else place.parent, os.W_OK):
        raise ValueError(f"{option}: expected a writable place, got {path}")


def check_places(**paths: Path | None) -> None:
    """Call `check_place` for each output, given by its option's name.

    Also raises ValueError if two outputs are the same file.
    """
    places: dict[Path, str] = {}
    for name, path in paths.items():
        check_place(path, f"--{name}")
        if path is not None and _descriptor(path) != 1:
            other = places.setdefault(files.resolved(path), name)
            if other != name:
                raise ValueError(f"--{name}: expected another file than --{other}, got {path}")


def check_text(text: str, name: str) -> None:
    """Raise ValueError for an argument with bytes that are not UTF-8; a shell can pass these."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name}: expected UTF-8, got {text!r}") from None


def is_stream(path: Path) -> bool:
    """Whether `path` can be written only once: stdout, a pipe, a device."""
    return _descriptor(path) is not None or files.is_stream(path)


def check_folder(path: Path | None, option: str, **outputs: Path | None) -> None:
    """Raise ValueError naming the option if `path` cannot become a folder, before a long run.

    `outputs` are the files that the command writes, by option. Neither the folder nor a folder
    above it may be one of these files.
    """
    if path is None:
        return
    if path == STDIO:
        raise ValueError(f"{option}: expected a folder, got {path}")
    folder = Path(os.path.realpath(path))
    for name, output in outputs.items():
        if output not in (None, STDIO) and Path(os.path.realpath(output)) in (
            folder,
            *folder.parents,
        ):
            raise ValueError(f"{option}: expected another place than --{name}, got {path}")
    try:
        # Raises for a name that is too long.
        path.exists()
    except OSError as error:
        raise ValueError(
            f"{option}: expected a writable place, got {path} ({error.strerror})"
        ) from None
    existing = next(place for place in (path, *path.parents) if os.path.lexists(place))
    if not existing.is_dir():
        raise ValueError(f"{option}: expected a folder, got the file {existing}")
    if not os.access(existing, os.W_OK):
        raise ValueError(f"{option}: expected a writable place, got {path}")


def make_folder(path: Path, option: str) -> None:
    """Make a folder and those above it; raises ValueError naming the option."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ValueError(
            f"{option}: expected a writable place, got {path} ({error.strerror})"
        ) from None


def write_bytes(path: Path, option: str, content: bytes) -> None:
    """Write a file atomically: a reader sees either the old content or all of the new content.

    If `path` is a link, its target is written and the link stays. `-`, pipes and devices are
    written directly. Raises ValueError naming the option.
    """
    try:
        descriptor = _descriptor(path)
        if descriptor is None:
            files.write_bytes(path, content)
            return
        # Duplicate the descriptor: if stdout is a file, opening it again would truncate it.
        with os.fdopen(os.dup(descriptor), "wb") as file:
            file.write(content)
    except OSError as error:
        raise ValueError(
            f"{option}: expected a writable place, got {path} ({error.strerror})"
        ) from None


def write_atomically(path: Path, option: str, write: Callable[[BinaryIO], object]) -> None:
    """Write a file as `write_bytes` does; `write` writes the content to a file object."""
    content = io.BytesIO()
    try:
        write(content)
    except OSError as error:
        raise ValueError(
            f"{option}: expected a writable place, got {path} ({error.strerror})"
        ) from None
    write_bytes(path, option, content.getvalue())


def write_array(path: Path, option: str, array: NDArray[Any]) -> None:
    """Write a .npy file."""
    write_atomically(path, option, lambda file: np.save(file, array))


def write_text(path: Path, option: str, text: str) -> None:
    """Write a text file."""
    write_bytes(path, option, text.encode(errors="backslashreplace"))


def write_json(path: Path | None, record: Mapping[str, Any]) -> None:
    """Write the record of --json, unless `path` is None."""
    if path is not None:
        write_text(path, "--json", json.dumps(record, indent=2) + "\n")


def _descriptor(path: Path) -> int | None:
    """The descriptor of this process that a path such as `-` or /dev/stdout refers to.

    None for a path that does not refer to a descriptor.
    """
    if path == STDIO:
        return 1
    ours = f"/proc/{os.getpid()}/fd"
    for _ in range(40):  # as many links as Linux follows
        if path.name.isdigit() and os.path.realpath(path.parent) == ours:
            return int(path.name)
        if not os.path.islink(path):
            return None
        path = path.parent / path.readlink()
    return None
