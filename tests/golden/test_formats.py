"""Formats and modes: all codes against independent tables and formulas, and the widths of sums."""

from collections.abc import Callable
from typing import get_args

import numpy as np
import pytest

from golden.numeric.codec import (
    TypeName,
    all_codes,
    check_codes,
    code_range,
    decode,
    decode_as,
    decode_code,
)
from golden.spec.formats import Format, Linear, Log2, Piecewise
from golden.spec.modes import MODE_NAMES, mode, sum_width
from tests.support.errors import raises

LINEAR = [Linear(bits) for bits in range(2, 9)]
LOG2 = [Log2(bits) for bits in (3, 4, 5)]
PIECEWISE = [Piecewise(r, t) for r in (1, 2, 5, 9, 62, 63) for t in (-1, 0, 1, 13, 63)]
PIECEWISE += [Piecewise(r, bits=bits) for r in (1, 3, 9) for bits in range(4, 8)]
FORMATS: list[Format] = [*LINEAR, *LOG2, *PIECEWISE]


def linear_values(fmt: Linear) -> dict[int, int]:
    largest = {2: 1, 3: 3, 4: 7, 5: 15, 6: 31, 7: 63, 8: 127}[fmt.bits]
    return {q: q for q in range(-largest, largest + 1)}


def log2_values(fmt: Log2) -> dict[int, int]:
    """Values from the bits of each code: sign and exponent field."""
    values = {}
    for code in range(2 ** (fmt.exponent_bits + 1)):
        text = format(code, f"0{fmt.exponent_bits + 1}b")
        field = int(text[1:], 2)
        magnitude = int("1" + "0" * (field - 1), 2) if field else 0
        values[code] = {"0": magnitude, "1": -magnitude}[text[0]]
    return values


def piecewise_values(fmt: Piecewise) -> dict[int, int]:
    """Values by counting: region 1 in steps of 1 from 0, region 2 in steps of r from t * r.

    Both regions have 2^(bits-2) magnitudes.
    """
    size = {4: 4, 5: 8, 6: 16, 7: 32, 8: 64}[fmt.bits]
    first = fmt.offset * fmt.ratio
    magnitudes = [*range(size), *range(first, first + size * fmt.ratio, fmt.ratio)]
    positive = dict(enumerate(magnitudes))
    return {**{-q: -value for q, value in positive.items()}, **positive}


def expected_values(fmt: Format) -> dict[int, int]:
    match fmt:
        case Linear():
            return linear_values(fmt)
        case Log2():
            return log2_values(fmt)
        case Piecewise():
            return piecewise_values(fmt)


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_every_code(fmt: Format) -> None:
    expected = expected_values(fmt)
    codes = all_codes(fmt)
    assert codes.dtype == fmt.dtype
    assert codes.tolist() == sorted(expected)
    assert code_range(fmt) == (min(expected), max(expected))
    assert [decode_code(code, fmt) for code in codes.tolist()] == [
        expected[code] for code in codes.tolist()
    ]
    for name in get_args(TypeName):
        real = decode_as(name, codes, fmt)
        assert real.dtype == name
        assert [int(value) for value in real] == [decode_code(code, fmt) for code in codes.tolist()]
    values = decode(codes, fmt)
    assert values.dtype == np.int64
    assert values.tolist() == [expected[code] for code in codes.tolist()]
    assert fmt.max_value == max(expected.values()) == -min(expected.values())


@pytest.mark.parametrize(
    ("fmt", "code", "value"),
    [
        (Log2(4), 0, 0),
        (Log2(4), 1, 1),
        (Log2(4), 2, 2),
        (Log2(4), 15, 16384),
        (Log2(4), 16, 0),
        (Log2(4), 17, -1),
        (Log2(4), 31, -16384),
        (Log2(3), 7, 64),
        (Log2(3), 15, -64),
        (Log2(5), 31, 2**30),
        (Piecewise(9, 7), 63, 63),
        (Piecewise(9, 7), 64, 63),
        (Piecewise(9, 7), 65, 72),
        (Piecewise(9, 7), 127, 630),
        (Piecewise(9, 7), -64, -63),
        (Piecewise(9, 7), -127, -630),
        (Piecewise(5, 13), 63, 63),
        (Piecewise(5, 13), 64, 65),
        (Piecewise(5, 13), 127, 380),
        (Linear(8), -127, -127),
    ],
)
def test_documented_examples(fmt: Format, code: int, value: int) -> None:
    assert decode_code(code, fmt) == value
    assert decode(np.array([code], dtype=fmt.dtype), fmt).tolist() == [value]


def test_decode_keeps_any_shape_and_layout() -> None:
    codes = np.arange(-12, 12, dtype=np.int8).reshape(4, 6)
    assert decode(codes.T[::2], Linear(8)).tolist() == codes.T[::2].tolist()
    assert decode(np.int8(-3) + np.zeros((), np.int8), Linear(8)).tolist() == -3
    assert decode(np.zeros((0, 3), np.uint8), Log2(4)).shape == (0, 3)


@pytest.mark.parametrize("fmt", FORMATS, ids=str)
def test_check_accepts_exactly_the_legal_codes(fmt: Format) -> None:
    every = np.arange(256, dtype=np.uint8).view(fmt.dtype)
    for code in every.tolist():
        codes = np.array([code], dtype=fmt.dtype)
        if code in expected_values(fmt):
            check_codes(codes, fmt, "x")
        else:
            with pytest.raises(ValueError, match=rf"^x: expected .*, got {code} at \[0\]$"):
                check_codes(codes, fmt, "x")


def planted(shape: tuple[int, ...], index: tuple[int, ...], code: int, dtype: type) -> np.ndarray:
    codes: np.ndarray = np.zeros(shape, dtype=dtype)
    codes[index] = code
    return codes


@pytest.mark.parametrize(
    ("fmt", "codes", "message"),
    [
        (
            Linear(8),
            planted((4, 6), (3, 5), -128, np.int8),
            "x: expected int8 codes in -127..127 (linear-8), got -128 at [3, 5]",
        ),
        (
            Linear(4),
            planted((2, 2, 2), (0, 1, 0), 8, np.int8),
            "x: expected int8 codes in -7..7 (linear-4), got 8 at [0, 1, 0]",
        ),
        (
            Log2(4),
            planted((3,), (2,), 32, np.uint8),
            "x: expected uint8 codes in 0..31 (log2-4), got 32 at [2]",
        ),
        (
            Log2(3),
            planted((), (), 255, np.uint8),
            "x: expected uint8 codes in 0..15 (log2-3), got 255",
        ),
        (
            Piecewise(),
            planted((1,), (0,), -128, np.int8),
            "x: expected int8 codes in -127..127 (piecewise-8(r=9,t=7)), got -128 at [0]",
        ),
        (Log2(4), np.zeros(3, np.int8), "x: expected uint8 codes for log2-4, got int8"),
        (Linear(8), np.zeros(3, np.int64), "x: expected int8 codes for linear-8, got int64"),
        (Linear(8), np.zeros(3, np.float64), "x: expected int8 codes for linear-8, got float64"),
        (
            Piecewise(),
            np.zeros(0, np.uint8),
            "x: expected int8 codes for piecewise-8(r=9,t=7), got uint8",
        ),
    ],
)
def test_check_names_what_is_wrong(fmt: Format, codes: np.ndarray, message: str) -> None:
    with raises(message):
        check_codes(codes, fmt, "x")
    with raises(message):
        decode(codes, fmt, "x")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(1), "bits: expected 2..8, got 1"),
        (lambda: Linear(9), "bits: expected 2..8, got 9"),
        (lambda: Log2(2), "exponent bits: expected 3..5, got 2"),
        (lambda: Piecewise(0), "ratio: expected 1..63, got 0"),
        (lambda: Piecewise(64), "ratio: expected 1..63, got 64"),
        (lambda: Piecewise(9, 64), "offset: expected 0..63, got 64"),
        (lambda: Piecewise(bits=3), "bits: expected 4..8, got 3"),
        (lambda: mode("wlog-alog", 5), "exponent bits: expected 3 or 4 in wlog-alog, got 5"),
        (lambda: mode("w2a2"), f"mode: expected one of {', '.join(MODE_NAMES)}, got 'w2a2'"),
    ],
)
def test_impossible_formats_and_modes(make: Callable[[], object], message: str) -> None:
    with raises(message):
        make()


@pytest.mark.parametrize(
    ("ratio", "offset"),
    [(1, 63), (2, 32), (5, 13), (6, 10), (9, 7), (14, 4), (18, 4), (42, 2), (63, 1)],
)
def test_default_offset_is_rint_of_63_over_ratio(ratio: int, offset: int) -> None:
    assert Piecewise(ratio).offset == offset == int(np.rint(63 / ratio))


@pytest.mark.parametrize(
    ("fmt", "width"), [(Linear(4), 4), (Linear(5), 8), (Log2(3), 4), (Log2(4), 8), (Piecewise(), 8)]
)
def test_code_width(fmt: Format, width: int) -> None:
    assert fmt.code_width == width


@pytest.mark.parametrize(
    ("name", "exponent_bits", "widths", "delivered", "products"),
    [
        ("w8a8", 4, (27,), 27, 1),
        ("w4a8", 4, (23,), 23, 2),
        ("w4a4", 4, (19,), 19, 4),
        ("wlog-a8", 4, (34,), 34, 1),
        ("wlog-alog", 4, (42,), 42, 1),
        ("wlog-a8", 3, (26,), 26, 1),
        ("wlog-alog", 3, (26,), 26, 1),
        ("wpw-a8", 4, (26, 27), 33, 1),
    ],
)
def test_accumulator_widths(
    name: str, exponent_bits: int, widths: tuple[int, ...], delivered: int, products: int
) -> None:
    subject = mode(name, exponent_bits)
    assert subject.accumulator_widths(4096) == widths
    assert subject.output_width(4096) == delivered
    assert subject.products == products


@pytest.mark.parametrize("name", MODE_NAMES)
@pytest.mark.parametrize("exponent_bits", [3, 4])
def test_bounds_cover_every_product(name: str, exponent_bits: int) -> None:
    """At the formats' own parameters, and for piece-wise weights at every ratio and offset."""
    subject = mode(name, exponent_bits)
    if name == "wpw-a8":
        largest = max(Piecewise(r, t).max_value for r in range(1, 64) for t in range(64))
    else:
        largest = max(expected_values(subject.w_format).values())
    assert subject.output_bound == max(expected_values(subject.x_format).values()) * largest


def test_sum_width_is_the_smallest_that_fits() -> None:
    for total in (1, 2, 3, 4, 127, 128, 2**40 - 1, 2**40):
        width = sum_width(total, 1)
        assert 2 ** (width - 2) <= total < 2 ** (width - 1)
