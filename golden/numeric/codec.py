"""What a code means: the range of legal codes of each format and the value each one stands for.

`decode_code` is the definition (docs/reference/formats.md); `decode` gives the same through tables
made of it.
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
"""Types in which every value of every format is exact."""


def code_range(fmt: Format) -> tuple[int, int]:
    """Smallest and largest legal code, both inclusive; every code between them is legal."""
    match fmt:
        case Linear():
            return -fmt.max_value, fmt.max_value
        case Log2():
            return 0, (2 << fmt.exponent_bits) - 1
        case Piecewise():
            return -fmt.max_code, fmt.max_code


def all_codes(fmt: Format) -> NDArray[np.integer]:
    """Every legal code in ascending order, 1-D in `fmt.dtype`; log2's negative zero is among them."""
    low, high = code_range(fmt)
    return np.arange(low, high + 1, dtype=np.int64).astype(fmt.dtype)


def decode_code(code: int, fmt: Format) -> int:
    """Value of one legal code: the definition of the format, in units of 1/S (1/S1 for piece-wise codes)."""
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
    """Values of `codes`, of the same shape; equal to `decode_code` of each.

    Raises ValueError as `check_codes` does, naming `name`.
    """
    values: NDArray[np.int64] = decode_as("int64", codes, fmt, name)
    return values


def decode_as(
    dtype: TypeName, codes: NDArray[np.integer], fmt: Format, name: str = "codes"
) -> NDArray[Any]:
    """`decode` in the type of that name."""
    check_codes(codes, fmt, name)
    if isinstance(fmt, Linear):
        return codes.astype(dtype)
    return np.take(_table(fmt, dtype), codes.view(np.uint8))


def check_codes(codes: NDArray[np.integer], fmt: Format, name: str) -> None:
    """Raises ValueError, naming `name`, unless `codes` has the type of `fmt` and holds legal codes only.

    Log2's negative zero is legal on input: it reads as 0.
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
    """The first of `values` marked `wrong` and its index, as error messages give them: "-128 at [3, 5]"."""
    index: Sequence[int] = [int(i) for i in np.unravel_index(int(np.argmax(wrong)), values.shape)]
    value = values[tuple(index)].item()
    return f"{value} at {index}" if index else f"{value}"


@lru_cache(maxsize=256)
def _table(fmt: Format, dtype: TypeName) -> NDArray[Any]:
    """Value by code byte [256]; bytes that are no code hold 0 and are never looked up."""
    table = np.zeros(256, dtype)
    for code in all_codes(fmt).tolist():
        table[code & 0xFF] = decode_code(code, fmt)
    table.flags.writeable = False
    return table
