"""Requantization against rational arithmetic, and factors against a search for the shift."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from golden.numeric.requantize import encode_factor, encode_factors, requantize, requantize_value
from tests.support.errors import raises

SEED = 20240302
BIAS = st.integers(-(2**31), 2**31 - 1)
ACC = st.one_of(st.integers(-(2**46), 2**46), st.integers(-300, 300))


def exact(acc: int, bias: int, mult: int, shift: int, bits: int) -> int:
    """The exact product, rounded to nearest with ties up, and clamped."""
    real = Fraction((acc + bias) * mult, 2**shift)
    rounded = math.floor(real + Fraction(1, 2))
    largest = {8: 127, 4: 7}[bits]
    return sorted((-largest, rounded, largest))[1]


def one(acc: int, bias: int, mult: int, shift: int, bits: int = 8) -> int:
    result = requantize(
        np.array([[acc]]), np.array([bias]), np.array([mult]), np.array([shift]), bits
    )
    assert result.dtype == np.int8
    return int(result[0, 0])


@pytest.mark.parametrize(
    ("acc", "bias", "mult", "shift", "bits", "y"),
    [
        (3, 0, 2**14, 15, 8, 2),
        (1, 0, 2**14, 15, 8, 1),
        (-1, 0, 2**14, 15, 8, 0),
        (-3, 0, 2**14, 15, 8, -1),
        (0, 0, 0, 1, 8, 0),
        (254, 0, 2**14, 15, 8, 127),
        (255, 0, 2**14, 15, 8, 127),
        (-255, 0, 2**14, 15, 8, -127),
        (-300, 0, 2**14, 15, 8, -127),
        (100, 0, 2**14, 14, 4, 7),
        (-100, 0, 2**14, 14, 4, -7),
        (-8, 0, 2**14, 14, 4, -7),
        (10, -8, 2**14, 14, 8, 2),
        (2**46, 2**31 - 1, 2**15 - 1, 1, 8, 127),
        (-(2**46), -(2**31), 2**15 - 1, 1, 8, -127),
        (2**46, 2**31 - 1, 2**15 - 1, 47, 8, 127),
        (2**38, 0, 2**14, 47, 8, 32),
        (2**32, 0, 2**14, 47, 8, 1),
        (2**32 - 1, 0, 2**14, 47, 8, 0),
        (-(2**32), 0, 2**14, 47, 8, 0),
        (-(2**32) - 1, 0, 2**14, 47, 8, -1),
    ],
)
def test_documented_and_extreme(
    acc: int, bias: int, mult: int, shift: int, bits: int, y: int
) -> None:
    assert requantize_value(acc, bias, mult, shift, bits) == y
    assert one(acc, bias, mult, shift, bits) == y


@settings(deadline=None)
@given(ACC, BIAS, st.integers(0, 2**15 - 1), st.integers(1, 47), st.sampled_from([8, 4]))
@example(-(2**46), -(2**31), 2**15 - 1, 47, 8)
@example(2**46, 2**31 - 1, 2**15 - 1, 47, 8)
def test_equals_rational_arithmetic(acc: int, bias: int, mult: int, shift: int, bits: int) -> None:
    assert requantize_value(acc, bias, mult, shift, bits) == exact(acc, bias, mult, shift, bits)
    assert one(acc, bias, mult, shift, bits) == exact(acc, bias, mult, shift, bits)


def test_columns_have_their_own_parameters() -> None:
    """Shifts fit the sums, so that most results are in range; exact ties are included."""
    rng = np.random.default_rng(SEED)
    print("seed", SEED)
    shift = np.repeat(np.arange(1, 48), 3).astype(np.int32)
    mult = rng.integers(2**14, 2**15, shift.size).astype(np.int32)
    mult[::3] = 2**14
    bias = rng.integers(-3, 4, shift.size).astype(np.int32)
    acc = np.rint(rng.uniform(-150, 150, (40, shift.size)) * 2.0**shift / mult).astype(np.int64)
    for bits in (8, 4):
        result = requantize(acc, bias, mult, shift, bits).tolist()
        columns = list(zip(bias.tolist(), mult.tolist(), shift.tolist(), strict=True))
        assert result == [
            [exact(a, *column, bits) for a, column in zip(row, columns, strict=True)]
            for row in acc.tolist()
        ]
    assert len(np.unique(requantize(acc, bias, mult, shift))) == 255


def test_no_bias_is_a_bias_of_zeros_and_the_sums_stay() -> None:
    acc = np.arange(-6, 6).reshape(3, 4)
    mult, shift = np.full(4, 2**14), np.full(4, 14)
    assert requantize(acc, None, mult, shift).tolist() == acc.tolist()
    assert requantize(acc, np.ones(4, np.int32), mult, shift).tolist() == (acc + 1).tolist()
    assert acc.tolist() == np.arange(-6, 6).reshape(3, 4).tolist()
    assert requantize(acc.astype(np.int32), None, mult, shift).tolist() == acc.tolist()


def test_rejects() -> None:
    acc = np.zeros((2, 3), np.int64)
    zeros, ones = np.zeros(3, np.int32), np.ones(3, np.int32)
    for bits in (0, 5, 16):
        with raises(f"bits: expected 8 or 4, got {bits}"):
            requantize(acc, zeros, zeros, ones, bits)
    with raises("acc: expected a matrix [M, N], got shape (3,)"):
        requantize(acc[0], zeros, zeros, ones)
    with raises("acc: expected integers, got float64"):
        requantize(acc.astype(float), zeros, zeros, ones)
    for beyond in (2**46 + 1, -(2**46) - 1):
        with raises(f"acc: expected -{2**46}..{2**46}, got {beyond} at [0, 1]"):
            requantize(np.array([[0, beyond, 0]]), zeros, zeros, ones)
    for name, bound, values in (
        ("bias", "-2147483648..2147483647", (-(2**31) - 1, 2**31)),
        ("mult", "0..32767", (-1, 32768)),
        ("shift", "1..47", (0, 48)),
    ):
        for value in values:
            columns: dict[str, np.ndarray] = {"bias": zeros, "mult": zeros, "shift": ones}
            columns[name] = np.array([1, 1, value])
            with raises(f"{name}: expected {bound}, got {value} at [2]"):
                requantize(acc, columns["bias"], columns["mult"], columns["shift"])
            columns[name] = np.ones(2, np.int32)
            with raises(f"{name}: expected 3 values, one per column, got shape (2,)"):
                requantize(acc, columns["bias"], columns["mult"], columns["shift"])
            columns[name] = np.ones(3)
            with raises(f"{name}: expected integers, got float64"):
                requantize(acc, columns["bias"], columns["mult"], columns["shift"])


def searched(f: float) -> tuple[int, int] | None:
    """(mult, shift) by increasing the shift until the scaled factor is in [2^14, 2^15)."""
    for shift in range(60):
        scaled = Fraction(f) * 2**shift
        if 2**14 <= scaled < 2**15:
            mult = round(scaled)
            if mult == 2**15:
                mult, shift = 2**14, shift - 1
            return (mult, shift) if 1 <= shift <= 47 else None
    return None


CORNERS = [
    *(
        math.nextafter(f, end)
        for e in range(-34, 16)
        for f in (2.0**e,)
        for end in (0.0, f, math.inf)
    ),
    *(
        m / 2**s
        for m in (16384.5, 16385.5, 32766.5, 32767.5, 32767.49999, 32767.0)
        for s in (1, 2, 20, 46, 47, 48)
    ),
    16383.75,
    16383.74,
    5e-324,
    1.7e308,
]


@settings(deadline=None)
@given(st.one_of(st.sampled_from(CORNERS), st.floats(2.0**-34, 2.0**15)))
def test_encode_factor(f: float) -> None:
    check_factor(f)


@pytest.mark.parametrize("f", CORNERS)
def test_encode_factor_corners(f: float) -> None:
    check_factor(f)


def check_factor(f: float) -> None:
    expected = searched(f)
    if expected is None:
        with raises(f"factor: expected 2^-33..16383.5, got {f!r}"):
            encode_factor(f)
        with raises(f"factors: expected 2^-33..16383.5, got {f!r} at [1]"):
            encode_factors(np.array([1.0, f]))
        return
    assert encode_factor(f) == expected
    mult, shift = expected
    assert 2**14 <= mult < 2**15
    assert abs(Fraction(mult, 2**shift) / Fraction(f) - 1) <= Fraction(1, 2**15)
    mults, shifts = encode_factors(np.array([[1.0, f]]))
    assert mults.dtype == shifts.dtype == np.int32
    assert (mults.tolist(), shifts.tolist()) == ([[16384, mult]], [[14, shift]])


def test_encode_factor_examples() -> None:
    assert encode_factor(1.0) == (16384, 14)
    assert encode_factor(0.5) == (16384, 15)
    assert encode_factor(1.5) == (24576, 14)
    assert encode_factor(2.0**-33) == (16384, 47)
    assert encode_factor(16383.5) == (32767, 1)
    assert encode_factor(math.nextafter(1.0, 0.0)) == (16384, 14)
    assert encode_factor(16384.5 / 2**15) == (16384, 15)
    assert encode_factor(16385.5 / 2**15) == (16386, 15)


@pytest.mark.parametrize("f", [0.0, -1.0, math.nan, math.inf, -math.inf, 16384.0, 2.0**-34])
def test_factors_out_of_reach(f: float) -> None:
    with raises(f"factor: expected 2^-33..16383.5, got {f!r}"):
        encode_factor(f)
    with raises(f"factors: expected 2^-33..16383.5, got {f!r} at [0, 1]"):
        encode_factors(np.array([[1.0, f]]))
