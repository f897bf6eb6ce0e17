"""Codec: the legal codes of each format and the value of each code.

`decode_code` is the definition (docs/reference/formats.md). `decode` looks values up in tables that
are built from it.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from golden.spec.formats import Format, Linear, Log2, Piecewise

__all__ = [
    "TypeName",
    "all_codes",
    "check_codes",
    "code_range",
    "decode",
    "decode_as",
    "decode_code",
    "first",
]

TypeName = Literal["int64", "float32", "float64"]
"""Types that represent every value of every format exactly."""


def code_range(fmt: Format) -> tuple[int, int]:
    """Smallest and largest legal code; every integer between them is legal."""
    match fmt:
        case Linear():
            return -fmt.max_value, fmt.max_value
        case Log2():
            return 0, (2 << fmt.exponent_bits) - 1
        case Piecewise():
            return -fmt.max_code, fmt.max_code


def all_codes(fmt: Format) -> NDArray[np.integer]:
    """All legal codes in ascending order, 1-D in `fmt.dtype`; log2 includes its negative zero."""
    low, high = code_range(fmt)
    return np.arange(low, high + 1, dtype=np.int64).astype(fmt.dtype)


def decode_code(code: int, fmt: Format) -> int:
    """Value of one legal code, in units of 1/S (1/S1 for piece-wise): the definition."""
    match fmt:
        case Linear():
            return code
        case Log2():
            sign, exponent = divmod(code, 1 << fmt.exponent_bits)
            if exponent == 0:
                return 0
            power = 1 << (exponent - 1)
            return -power if sign else power
        case Piecewise():
            if abs(code) < fmt.split:
                return code
            magnitude = (abs(code) - fmt.split + fmt.offset) * fmt.ratio
            return -magnitude if code < 0 else magnitude


def decode(codes: NDArray[np.integer], fmt: Format, name: str = "codes") -> NDArray[np.int64]:
    """Values of `codes`, of the same shape; each equals `decode_code` of its code.

    Raises ValueError as `check_codes` does, naming `name`.
    """
    values: NDArray[np.int64] = decode_as("int64", codes, fmt, name)
    return values


def decode_as(
    dtype: TypeName, codes: NDArray[np.integer], fmt: Format, name: str = "codes"
) -> NDArray[Any]:
    """`decode` with results of type `dtype`."""
    check_codes(codes, fmt, name)
    if isinstance(fmt, Linear):
        return codes.astype(dtype)
    return np.take(_table(fmt, dtype), codes.view(np.uint8))


def check_codes(codes: NDArray[np.integer], fmt: Format, name: str) -> None:
    """Raise ValueError naming `name` unless `codes` has the dtype of `fmt` and only legal codes.

    Log2's negative zero is a legal input: it decodes to 0.
    """
    if codes.dtype != fmt.dtype:
        raise ValueError(
            f"{name}: expected {np.dtype(fmt.dtype)} codes for {fmt}, got {codes.dtype}"
        )
    low, high = code_range(fmt)
    if codes.size and (int(codes.min()) < low or int(codes.max()) > high):
        what = f"{codes.dtype} codes in {low}..{high} ({fmt})"
        raise ValueError(
            f"{name}: expected {what}, got {first(codes, (codes < low) | (codes > high))}"
        )


def first(values: NDArray[np.generic], wrong: NDArray[np.bool_]) -> str:
    """First of `values` marked `wrong` and its index, as errors show them: "-128 at [3, 5]"."""
    index: Sequence[int] = [int(i) for i in np.unravel_index(int(np.argmax(wrong)), values.shape)]
    value = values[tuple(index)].item()
    return f"{value} at {index}" if index else f"{value}"


@lru_cache(maxsize=256)
def _table(fmt: Format, dtype: TypeName) -> NDArray[Any]:
    """Values by code byte, [256]; entries of illegal codes are 0 and never read."""
    table = np.zeros(256, dtype)
    for code in all_codes(fmt).tolist():
        table[code & 0xFF] = decode_code(code, fmt)
    table.flags.writeable = False
    return table
