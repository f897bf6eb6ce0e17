"""NumPy array files: checked reading and atomic writing.

A reader checks the size that a header claims against the file's size before it allocates memory.
"""

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
    """Read the array of a .npy file from the file's current position; pickled objects are refused.

    `file` must be seekable. Raises ValueError, with a message of one line, for a file that is
    empty, is not a .npy file, is cut short, or whose header claims more bytes than follow.
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
        # Raised by the allocation of the array or by the parser of the header.
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
"""Header readers by version. Version 3.0 is for field names outside ASCII, which are not used here.
"""


def save_array(path: Path, array: NDArray[Any]) -> None:
    """Write a .npy file atomically.

    Raises OSError with path and reason, which NumPy's own error lacks.
    """
    content = io.BytesIO()
    np.save(content, array)
    write_bytes(path, content.getvalue())
