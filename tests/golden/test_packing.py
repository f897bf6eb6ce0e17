"""Packed bytes against hand-written ones, and round trips in every format."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.numeric.codec import all_codes
from golden.numeric.packing import file_bits, pack, pack_bits, packed_shape, unpack, unpack_bits
from golden.spec.formats import Format, Linear, Log2, Piecewise
from tests.support.errors import raises

FORMATS: list[Format] = [
    *(Linear(bits) for bits in range(2, 9)),
    Log2(3),
    Log2(4),
    Log2(5),
    Piecewise(9),
]


@pytest.mark.parametrize(
    ("fmt", "codes", "octets"),
    [
        (Linear(4), [1, 2], [0x21]),
        (Linear(4), [-1, 7, -7], [0x7F, 0x09]),
        (Linear(4), [], []),
        (Linear(2), [-1, 1, 0, -1], [0x1F, 0xF0]),
        (Linear(3), [3, -3], [0xD3]),
        (Log2(3), [15, 8, 1], [0x8F, 0x01]),
        (Linear(8), [-127, 1], [0x81, 0x01]),
        (Linear(5), [-15, 15], [0xF1, 0x0F]),
        (Log2(4), [31, 0, 16], [31, 0, 16]),
        (Log2(5), [63], [63]),
        (Piecewise(9), [-1, 64], [0xFF, 0x40]),
    ],
)
def test_bytes(fmt: Format, codes: list[int], octets: list[int]) -> None:
    array = np.array(codes, dtype=fmt.dtype)
    packed = pack(array, fmt)
    assert packed.dtype == np.uint8
    assert packed.tolist() == octets
    assert unpack(packed, fmt, array.shape).tolist() == codes


@settings(deadline=None)
@given(st.data(), st.sampled_from(FORMATS), st.lists(st.integers(0, 5), min_size=1, max_size=3))
def test_round_trip(data: st.DataObject, fmt: Format, shape: list[int]) -> None:
    count = int(np.prod(shape))
    choice = data.draw(
        st.lists(st.sampled_from(all_codes(fmt).tolist()), min_size=count, max_size=count)
    )
    codes = np.array(choice, dtype=fmt.dtype).reshape(shape)
    packed = pack(codes, fmt)
    assert packed.shape == packed_shape(shape, fmt)
    again = unpack(packed, fmt, shape)
    assert again.dtype == fmt.dtype
    assert again.shape == codes.shape
    assert again.tolist() == codes.tolist()


@pytest.mark.parametrize("fmt", [Linear(4), Log2(3)], ids=str)
def test_every_pair_of_nibbles(fmt: Format) -> None:
    every = all_codes(fmt)
    low, high = np.meshgrid(every, every)
    pairs = np.stack((low, high), axis=-1)
    packed = pack(pairs, fmt)
    expected = [[(b & 15) << 4 | (a & 15) for a in every.tolist()] for b in every.tolist()]
    assert packed[..., 0].tolist() == expected
    assert unpack(packed, fmt, pairs.shape).tolist() == pairs.tolist()


def test_layout_of_the_input_does_not_matter() -> None:
    codes = np.arange(-7, 8, dtype=np.int8).reshape(3, 5)
    assert pack(codes.T, Linear(4)).tolist() == pack(codes.T.copy(), Linear(4)).tolist()
    assert pack(codes[:, ::2], Linear(8)).tolist() == pack(codes[:, ::2].copy(), Linear(8)).tolist()


@pytest.mark.parametrize("fmt", [Linear(8), Linear(4), Log2(4)], ids=str)
def test_results_are_copies(fmt: Format) -> None:
    codes = np.ones(4, dtype=fmt.dtype)
    packed = pack(codes, fmt)
    restored = unpack(packed, fmt, codes.shape)
    packed[:] = 0
    assert codes.tolist() == restored.tolist() == [1, 1, 1, 1]


def test_padding_is_not_looked_at() -> None:
    assert unpack(np.array([0x21, 0x83], np.uint8), Linear(4), (3,)).tolist() == [1, 2, 3]


def test_rejects() -> None:
    with raises("codes: expected int8 codes in -7..7 (linear-4), got -8 at [1]"):
        pack(np.array([0, -8], np.int8), Linear(4))
    with raises("shape: expected at least one axis, got ()"):
        pack(np.array(1, np.int8), Linear(4))
    with raises("packed: expected uint8, got int8"):
        unpack(np.zeros(2, np.int8), Linear(4), (4,))
    with raises("packed: expected shape (3, 2) for codes of (3, 4), got (3, 4)"):
        unpack(np.zeros((3, 4), np.uint8), Linear(4), (3, 4))
    with raises("packed: expected shape (3,) for codes of (3,), got (2,)"):
        unpack(np.zeros(2, np.uint8), Log2(4), (3,))
    with raises("packed: expected int8 codes in -7..7 (linear-4), got -8 at [1]"):
        unpack(np.array([0x80], np.uint8), Linear(4), (2,))
    with raises("packed: expected int8 codes in -127..127 (linear-8), got -128 at [0]"):
        unpack(np.array([0x80], np.uint8), Linear(8), (1,))
    with raises("packed: expected uint8 codes in 0..31 (log2-4), got 32 at [0]"):
        unpack(np.array([32], np.uint8), Log2(4), (1,))


FILE_FORMATS = [
    *(Linear(bits) for bits in range(2, 9)),
    *(Log2(bits) for bits in (3, 4, 5)),
    *(Piecewise(bits=bits) for bits in (4, 6, 8)),
]


@pytest.mark.parametrize("fmt", FILE_FORMATS, ids=str)
@pytest.mark.parametrize("shape", [(1,), (7,), (3, 5), (2, 8, 3)])
def test_bits_in_files_come_back(fmt: Format, shape: tuple[int, ...]) -> None:
    codes = np.resize(all_codes(fmt), shape)
    packed = pack_bits(codes, fmt)
    assert packed.nbytes == -(-codes.size * file_bits(fmt) // 8)
    again = unpack_bits(packed, fmt, shape)
    assert again.dtype == fmt.dtype
    assert again.tolist() == codes.tolist()


def test_bits_in_files_by_hand() -> None:
    # 1, -1, 3 in five bits each, low bit first: 10000 11111 11000.
    packed = pack_bits(np.array([1, -1, 3], np.int8), Linear(5))
    assert packed.tolist() == [0b11100001, 0b00001111]
    for fmt in (Linear(4), Log2(3)):
        codes = all_codes(fmt)[:12].reshape(3, 4)
        assert pack_bits(codes, fmt).tolist() == pack(codes, fmt).ravel().tolist()


def test_bits_in_files_that_do_not_fit() -> None:
    with raises("packed: expected shape (2,) for codes of (3,), got (3,)"):
        unpack_bits(np.zeros(3, np.uint8), Linear(5), (3,))
    with raises("packed: expected uint8, got int8"):
        unpack_bits(np.zeros(2, np.int8), Linear(5), (3,))
    with raises("packed: expected int8 codes in -15..15 (linear-5), got -16 at [0]"):
        unpack_bits(np.array([0x10], np.uint8), Linear(5), (1,))
