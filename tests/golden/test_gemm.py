"""The BLAS GEMM against the triple loop: random and largest sums, stacks, errors."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.numeric.codec import all_codes, decode_code
from golden.numeric.gemm import EXACT_SINGLE, gemm, gemm_piecewise, gemm_reference, gemm_stack
from golden.spec.formats import Linear, Log2, Piecewise
from golden.spec.modes import Mode, mode
from tests.support.errors import raises
from tests.support.legal import random_codes

SEED = 20240301
MODES = [
    mode("w8a8"),
    mode("w4a8"),
    mode("w4a4"),
    *(mode("wlog-a8", bits) for bits in (3, 4, 5)),
    *(mode("wlog-alog", bits) for bits in (3, 4)),
    *(
        replace(mode("wpw-a8"), w_format=Piecewise(r, t))
        for r, t in ((9, 7), (5, 13), (1, 0), (63, 63))
    ),
    replace(mode("w8a8"), x_format=Linear(5), w_format=Linear(6)),
]


def mode_id(subject: Mode) -> str:
    return f"{subject.name}-{subject.x_format}-{subject.w_format}"


def exact(x: np.ndarray, w: np.ndarray, subject: Mode) -> list[list[int]]:
    """Sums in Python integers, which do not overflow."""
    rows = [[decode_code(code, subject.x_format) for code in row] for row in x.tolist()]
    columns = [[decode_code(code, subject.w_format) for code in column] for column in w.T.tolist()]
    return [
        [sum(a * b for a, b in zip(row, column, strict=True)) for column in columns] for row in rows
    ]


@pytest.mark.parametrize("subject", MODES, ids=mode_id)
def test_equals_the_triple_loop(subject: Mode) -> None:
    rng = np.random.default_rng(SEED)
    print("seed", SEED)
    for rows, depth, columns in ((1, 1, 1), (3, 7, 5), (1, 64, 9), (8, 33, 2)):
        x = random_codes(rng, subject.x_format, rows, depth)
        w = random_codes(rng, subject.w_format, depth, columns)
        expected = exact(x, w, subject)
        assert gemm_reference(x, w, subject).tolist() == expected
        result = gemm(x, w, subject)
        assert result.dtype == np.int64
        assert result.tolist() == expected
        assert gemm(x.T.copy().T, w.T.copy().T, subject).tolist() == expected


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(MODES), *[st.integers(1, 6)] * 3)
def test_equals_the_triple_loop_on_any_shape(
    seed: int, subject: Mode, rows: int, depth: int, columns: int
) -> None:
    rng = np.random.default_rng(seed)
    x = random_codes(rng, subject.x_format, rows, depth)
    w = random_codes(rng, subject.w_format, depth, columns)
    assert gemm(x, w, subject).tolist() == gemm_reference(x, w, subject).tolist()


@pytest.mark.parametrize("subject", MODES, ids=mode_id)
def test_largest_sums_are_exact_and_fit(subject: Mode) -> None:
    """All products at the bound, of either sign, and one small product that rounding would lose."""
    x = np.full((2, 4096), all_codes(subject.x_format)[-1])
    w = np.full((4096, 2), all_codes(subject.w_format)[-1])
    if isinstance(subject.x_format, Log2):
        x[:] = 2**subject.x_format.exponent_bits - 1
    if isinstance(subject.w_format, Log2):
        w[:] = 2**subject.w_format.exponent_bits - 1
        w[:, 1] |= 2**subject.w_format.exponent_bits
    else:
        w[:, 1] *= -1
    x[1, 0] = 1
    w[0] = 1
    expected = exact(x, w, subject)
    assert gemm(x, w, subject).tolist() == expected
    largest = max(abs(value) for row in expected for value in row)
    assert largest < 2 ** (subject.output_width() - 1)


@pytest.mark.parametrize("subject", [m for m in MODES if m.name == "wpw-a8"], ids=mode_id)
def test_dual_accumulators(subject: Mode) -> None:
    fmt = subject.w_format
    assert isinstance(fmt, Piecewise)
    rng = np.random.default_rng(SEED)
    print("seed", SEED)
    x = random_codes(rng, subject.x_format, 5, 200)
    w = random_codes(rng, fmt, 200, 6)
    acc1, acc2 = gemm_piecewise(x, w, subject)
    assert (acc1 + fmt.ratio * acc2).tolist() == gemm(x, w, subject).tolist()
    for m in range(5):
        for n in range(6):
            pairs = list(zip(x[m].tolist(), w[:, n].tolist(), strict=True))
            assert acc1[m, n] == sum(a * q for a, q in pairs if -64 < q < 64)
            outer = [
                (a, q - 64 + fmt.offset if q > 0 else q + 64 - fmt.offset)
                for a, q in pairs
                if abs(q) >= 64
            ]
            assert acc2[m, n] == sum(a * b for a, b in outer)


def test_dual_accumulators_fit_their_widths() -> None:
    """At the worst run-time parameters, with all of K in one region, sums just fit both widths."""
    subject = replace(mode("wpw-a8"), w_format=Piecewise(63, 63))
    x = np.full((1, 4096), 127, np.int8)
    w = np.repeat(np.array([[63, -63, 127, -127]], np.int8), 4096, axis=0)
    acc1, acc2 = gemm_piecewise(x, w, subject)
    assert acc1.tolist() == [[127 * 63 * 4096, -127 * 63 * 4096, 0, 0]]
    assert acc2.tolist() == [[0, 0, 127 * 126 * 4096, -127 * 126 * 4096]]
    for acc, width in zip((acc1, acc2), subject.accumulator_widths(), strict=True):
        assert 2 ** (width - 2) <= np.abs(acc).max() < 2 ** (width - 1)
    assert 2**31 <= np.abs(gemm(x, w, subject)).max() < 2**32


def test_bias() -> None:
    x, w = np.array([[1], [-1]], np.int8), np.array([[2, 3, 4]], np.int8)
    low, high = -(2**31), 2**31 - 1
    for bias in (np.array([low, high, 0], np.int32), np.array([low, high, 0], np.int64)):
        expected = [[2 + low, 3 + high, 4], [low - 2, high - 3, -4]]
        assert gemm(x, w, mode("w8a8"), bias=bias).tolist() == expected
        assert bias.tolist() == [low, high, 0]
    for count in (2, 4):
        with raises(f"bias: expected 3 values, one per column, got shape ({count},)"):
            gemm(x, w, mode("w8a8"), bias=np.zeros(count, np.int32))
    with raises("bias: expected integers, got float64"):
        gemm(x, w, mode("w8a8"), bias=np.zeros(3))  # type: ignore[arg-type]
    with raises("bias: expected integers, got bool"):
        gemm(x, w, mode("w8a8"), bias=np.zeros(3, np.bool_))
    for value in (high + 1, low - 1, 2**63 - 1, 2**64 - 1):
        wide: np.ndarray = np.array([0, value, 0], np.uint64 if value >= 2**63 else np.int64)
        with raises(f"bias: expected -2147483648..2147483647, got {value} at [1]"):
            gemm(x, w, mode("w8a8"), bias=wide)


@pytest.mark.parametrize(
    ("x_shape", "w_shape", "message"),
    [
        ((2, 384), (383, 4), "w: expected K = 384 rows to match x, got 383"),
        ((2, 5000), (5000, 4), "K: expected 1..4096 (k_max), got 5000"),
        ((2, 0), (0, 4), "K: expected 1..4096 (k_max), got 0"),
        ((0, 3), (3, 4), "M: expected at least 1 row of x, got 0"),
        ((2, 3), (3, 0), "N: expected at least 1 column of w, got 0"),
        ((3,), (3, 4), "x: expected a matrix [M, K], got shape (3,)"),
        ((2, 3), (3, 4, 1), "w: expected a matrix [K, N], got shape (3, 4, 1)"),
    ],
)
def test_shapes(x_shape: tuple[int, ...], w_shape: tuple[int, ...], message: str) -> None:
    x, w = np.zeros(x_shape, np.int8), np.zeros(w_shape, np.int8)
    with raises(message):
        gemm(x, w, mode("w8a8"))
    with raises(message):
        gemm_piecewise(x, w, mode("wpw-a8"))


def test_k_max() -> None:
    x, w = np.ones((1, 16), np.int8), np.ones((16, 1), np.int8)
    assert gemm(x, w, mode("w8a8"), k_max=16).tolist() == [[16]]
    with raises("K: expected 1..15 (k_max), got 16"):
        gemm(x, w, mode("w8a8"), k_max=15)
    big = np.ones((1, 5000), np.int8)
    assert gemm(big, big.T, mode("w8a8"), k_max=8192).tolist() == [[5000]]


def test_codes_are_checked() -> None:
    x, w = np.zeros((2, 3), np.int8), np.zeros((3, 2), np.int8)
    for call in (gemm, gemm_reference):
        with raises("w: expected uint8 codes for log2-4, got int8"):
            call(x, w, mode("wlog-a8"))
        with raises("x: expected uint8 codes for log2-4, got int8"):
            call(x, w, mode("wlog-alog"))
        with raises("x: expected int8 codes in -127..127 (linear-8), got -128 at [0, 0]"):
            call(x + np.int8(-128), w, mode("w8a8"))
        with raises("w: expected int8 codes in -7..7 (linear-4), got 8 at [0, 0]"):
            call(x, w + np.int8(8), mode("w4a4"))
    with raises("w: expected int8 codes in -127..127 (piecewise-8(r=9,t=7)), got -128 at [0, 0]"):
        gemm_piecewise(x, w + np.int8(-128), mode("wpw-a8"))
    with raises("mode: expected piece-wise weights, got linear-4 in w4a8"):
        gemm_piecewise(x, w, mode("w4a8"))


def test_sums_that_float64_could_round_are_refused() -> None:
    """A product reaches 2^44: sums of 511 stay below 2^53, sums of 512 may not."""
    subject = Mode("wide", Log2(4), Log2(5))
    x, w = np.full((1, 512), 15, np.uint8), np.full((512, 1), 31, np.uint8)
    assert gemm(x[:, :511], w[:511], subject).tolist() == [[511 * 2**44]]
    with raises(f"K: expected sums below 2^53, got 512 products of up to {2**44}"):
        gemm(x, w, subject)


@pytest.mark.parametrize("subject", MODES, ids=mode_id)
def test_sums_are_exact_on_both_sides_of_float32(subject: Mode) -> None:
    """At the largest K whose sums fit float32, and beyond, where float32 loses an odd last bit."""
    largest_x, largest_w = (
        max(all_codes(fmt), key=lambda code, fmt=fmt: decode_code(int(code), fmt))
        for fmt in (subject.x_format, subject.w_format)
    )
    bound = subject.x_format.max_value * subject.w_format.max_value
    limit = max(1, (EXACT_SINGLE - 1) // bound)
    lost = 0
    for depth in range(limit, limit + 4):
        x, w = np.full((1, depth), largest_x), np.full((depth, 1), largest_w)
        x[0, 0] = w[0, 0] = 1
        total = (depth - 1) * bound + 1
        assert gemm(x, w, subject, k_max=depth).tolist() == [[total]]
        assert gemm_stack(x[np.newaxis], w[np.newaxis], subject, k_max=depth).tolist() == [
            [[total]]
        ]
        lost += int(np.float32(total)) != total
    assert lost


@pytest.mark.parametrize("subject", MODES, ids=mode_id)
def test_a_stack_equals_its_matrices(subject: Mode) -> None:
    rng = np.random.default_rng(SEED)
    print("seed", SEED)
    x = random_codes(rng, subject.x_format, 3, 4, 17)
    w = random_codes(rng, subject.w_format, 3, 17, 5)
    result = gemm_stack(x, w, subject)
    assert result.dtype == np.int64
    assert result.tolist() == [
        gemm_reference(a, b, subject).tolist() for a, b in zip(x, w, strict=True)
    ]
    assert gemm_stack(x[:, :1], w.swapaxes(1, 2).copy().swapaxes(1, 2), subject).shape == (3, 1, 5)


def test_stacks_are_checked() -> None:
    x, w = np.zeros((2, 3, 4), np.int8), np.zeros((2, 4, 5), np.int8)
    with raises("x, w: expected two stacks of one height, got shapes (2, 3, 4) and (1, 4, 5)"):
        gemm_stack(x, w[:1], mode("w8a8"))
    with raises("x, w: expected two stacks of one height, got shapes (0, 3, 4) and (0, 4, 5)"):
        gemm_stack(x[:0], w[:0], mode("w8a8"))
    with raises("x: expected a matrix [M, K], got shape (4,)"):
        gemm_stack(x[:, 0], w, mode("w8a8"))
    with raises("w: expected K = 4 rows to match x, got 3"):
        gemm_stack(x, w[:, :3], mode("w8a8"))
    with raises("K: expected 1..3 (k_max), got 4"):
        gemm_stack(x, w, mode("w8a8"), k_max=3)
    w[1, 2, 3] = -128
    with raises("w: expected int8 codes in -127..127 (linear-8), got -128 at [1, 2, 3]"):
        gemm_stack(x, w, mode("w8a8"))
