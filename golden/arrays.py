"""NumPy files: a header's claim is compared with the file's size before memory is taken for it; files are whole."""

import io
import math
import os
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from golden.files import write_bytes

__all__ = ["load_array", "save_array"]


def load_array(file: BinaryIO) -> NDArray[Any]:
    """The array of a .npy file, without pickled objects, from the file's position on.

    The file must be one that can be searched. Raises ValueError, in one line, for a file that is
    empty, no .npy file, cut short, or whose header claims more than follows.
    """
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    if not size:
        raise ValueError("No data left in file")
    try:
        version = npy.read_magic(file)
        if version not in _READERS:
            raise ValueError(f"version {'.'.join(map(str, version))}")
        shape, _, dtype = _READERS[version](file)
        if min(shape, default=0) < 0:
            raise ValueError(f"shape {shape}")
        claimed, there = math.prod(shape) * dtype.itemsize, size - (file.tell() - start)
        if not dtype.hasobject and claimed > there:
            raise ValueError(f"a header for {claimed} bytes before {there}")
        file.seek(start)
        array: NDArray[Any] = npy.read_array(file, allow_pickle=False)
    except MemoryError:
        # Of the array, or of the parser that reads the header.
        raise ValueError("more than there is memory") from None
    except (
        ValueError,
        OSError,
        OverflowError,
        TypeError,
        SyntaxError,
        RecursionError,
        TokenError,
    ) as error:
        raise ValueError((str(error).splitlines() or [type(error).__name__])[0]) from None
    return array


_READERS = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
"""Version 3.0 is for fields with names outside ASCII, which no array here has."""


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a .npy file, whole or not at all.

    Raises OSError with path and reason, which NumPy's own lacks.
    """
    content = io.BytesIO()
    np.save(content, array)
    write_bytes(path, content.getvalue())
