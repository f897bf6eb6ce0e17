"""Packing of codes into bytes, for memory (one or two codes per byte) and for files (bit by bit).

In memory 4-bit codes (linear of at most 4 bits, log2 with 3 exponent bits) pair along the last
axis: element 2i occupies the low nibble of byte i, element 2i + 1 the high nibble. In a file each
code takes `file_bits` bits. Layout: docs/reference/formats.md.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from golden.numeric.codec import check_codes
from golden.spec.formats import Format, Log2

__all__ = ["file_bits", "pack", "pack_bits", "packed_shape", "unpack", "unpack_bits"]


def packed_shape(shape: Sequence[int], fmt: Format) -> tuple[int, ...]:
    """Shape in bytes of codes [..., n]: [..., ceil(n / 2)] for 4-bit codes, else unchanged.

    Raises ValueError for a shape without axes.
    """
    if not shape:
        raise ValueError("shape: expected at least one axis, got ()")
    return (*shape[:-1], (shape[-1] + 1) // 2 if fmt.code_width == 4 else shape[-1])


def pack(codes: NDArray[np.integer], fmt: Format) -> NDArray[np.uint8]:
    """Bytes of `codes` [..., n], uint8 of `packed_shape`; for an odd n the last high nibble is 0.

    Raises ValueError for illegal codes and for codes without an axis.
    """
    check_codes(codes, fmt, "codes")
    shape = packed_shape(codes.shape, fmt)
    octets = codes.view(np.uint8)
    if fmt.code_width == 8:
        return octets.copy()
    packed = np.zeros(shape, dtype=np.uint8)
    packed[...] = octets[..., ::2] & 0xF
    packed[..., : codes.shape[-1] // 2] |= octets[..., 1::2] << 4
    return packed


def unpack(packed: NDArray[np.uint8], fmt: Format, shape: Sequence[int]) -> NDArray[np.integer]:
    """Codes of `shape` [..., n] in `fmt.dtype`: the inverse of `pack`; padding nibbles are ignored.

    Raises ValueError for a wrong type or shape of `packed`, and for a byte or nibble that is not a
    legal code of `fmt`.
    """
    if packed.dtype != np.uint8:
        raise ValueError(f"packed: expected uint8, got {packed.dtype}")
    expected = packed_shape(shape, fmt)
    if packed.shape != expected:
        raise ValueError(
            f"packed: expected shape {expected} for codes of {tuple(shape)}, got {packed.shape}"
        )
    if fmt.code_width == 8:
        codes: NDArray[np.integer] = packed.copy().view(fmt.dtype)
    else:
        nibbles = np.stack((packed & 0xF, packed >> 4), axis=-1)
        codes = nibbles.reshape(*shape[:-1], 2 * packed.shape[-1])[..., : shape[-1]]
        if fmt.dtype is np.int8:
            codes = (codes ^ 8).astype(np.int8) - np.int8(8)
        codes = np.ascontiguousarray(codes)
    check_codes(codes, fmt, "packed")
    return codes


def file_bits(fmt: Format) -> int:
    """Bits of a code in a file: exponent_bits + 1 for log2, else the format's bits."""
    return fmt.exponent_bits + 1 if isinstance(fmt, Log2) else fmt.bits


def pack_bits(codes: NDArray[np.integer], fmt: Format) -> NDArray[np.uint8]:
    """Bytes, uint8 [ceil(n * bits / 8)], of all n codes in order, `file_bits` each, low bit first.

    The last byte is padded with zeros. Raises ValueError for illegal codes.
    """
    check_codes(codes, fmt, "codes")
    octets = np.ascontiguousarray(codes).view(np.uint8).reshape(-1, 1)
    return np.packbits(
        np.unpackbits(octets, axis=1, count=file_bits(fmt), bitorder="little"), bitorder="little"
    )


def unpack_bits(
    packed: NDArray[np.uint8], fmt: Format, shape: Sequence[int]
) -> NDArray[np.integer]:
    """Codes of `shape` in `fmt.dtype`: the inverse of `pack_bits`.

    Raises ValueError for a wrong type or length of `packed`, and for bits that are not a legal code
    of `fmt`.
    """
    if packed.dtype != np.uint8:
        raise ValueError(f"packed: expected uint8, got {packed.dtype}")
    count, width = math.prod(shape), file_bits(fmt)
    expected = (-(-count * width // 8),)
    if packed.shape != expected:
        raise ValueError(
            f"packed: expected shape {expected} for codes of {tuple(shape)}, got {packed.shape}"
        )
    bits = np.unpackbits(packed, count=count * width, bitorder="little").reshape(count, width)
    codes: NDArray[np.integer] = np.packbits(bits, axis=1, bitorder="little").reshape(shape)
    if fmt.dtype is np.int8:
        sign = np.uint8(1 << (width - 1))
        codes = (codes ^ sign).view(np.int8) - sign.view(np.int8)
    check_codes(codes, fmt, "packed")
    return codes
