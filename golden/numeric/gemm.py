"""Exact integer GEMM: acc[m, n] = sum over k of value(x[m, k]) * value(w[k, n]).

`gemm_reference` is the definition. `gemm` computes the same through floating-point BLAS. This is
exact in any order of summation, because every product and partial sum is an integer below 2^24
(float32) or 2^53 (float64).
"""

import numpy as np
from numpy.typing import NDArray

from golden.numeric.codec import TypeName, check_codes, decode_as, decode_code
from golden.numeric.requantize import BIAS_MAX, BIAS_MIN, column
from golden.spec.formats import Piecewise
from golden.spec.modes import K_MAX, Mode

__all__ = ["EXACT", "EXACT_SINGLE", "gemm", "gemm_piecewise", "gemm_reference", "gemm_stack"]

EXACT_SINGLE = 1 << 24
"""Smaller magnitudes are exact in float32, which BLAS multiplies twice as fast as float64."""

EXACT = 1 << 53
"""Smaller magnitudes are exact in float64."""


def gemm_reference(x: NDArray[np.integer], w: NDArray[np.integer], mode: Mode) -> NDArray[np.int64]:
    """acc, int64 [M, N], of codes x [M, K] and w [K, N] by a triple loop: the definition.

    K is not bounded. Raises ValueError for shapes that do not match and for illegal codes.
    """
    rows, depth, columns = _check_operands(x, w, mode, None)
    acc = np.zeros((rows, columns), dtype=np.int64)
    for m in range(rows):
        for n in range(columns):
            total = 0
            for k in range(depth):
                x_value = decode_code(int(x[m, k]), mode.x_format)
                total += x_value * decode_code(int(w[k, n]), mode.w_format)
            acc[m, n] = total
    return acc


def gemm(
    x: NDArray[np.integer],
    w: NDArray[np.integer],
    mode: Mode,
    k_max: int = K_MAX,
    bias: NDArray[np.integer] | None = None,
) -> NDArray[np.int64]:
    """acc + bias, int64 [M, N], of codes x [M, K] and w [K, N].

    x is in mode.x_format and w in mode.w_format, with M, N >= 1 and 1 <= K <= k_max. `bias` holds N
    signed 32-bit integers; None means zeros. Raises ValueError, naming the argument, for illegal
    shapes, codes, K or bias, and for a K at which sums could reach 2^53.
    """
    _, _, columns = _check_operands(x, w, mode, k_max)
    acc = _multiply(x, w, mode)
    if bias is not None:
        acc += column(bias, columns, BIAS_MIN, BIAS_MAX, "bias")
    return acc


def gemm_stack(
    x: NDArray[np.integer], w: NDArray[np.integer], mode: Mode, k_max: int = K_MAX
) -> NDArray[np.int64]:
    """acc, int64 [B, M, N], of B independent GEMMs: `gemm` of each x[b] [M, K] and w[b] [K, N].

    Raises ValueError as `gemm` does, and for stacks that are empty or of different lengths. An
    illegal code is reported with its index in the stack.
    """
    if not x.ndim or not w.ndim or len(x) != len(w) or len(x) < 1:
        raise ValueError(
            f"x, w: expected two stacks of one height, got shapes {x.shape} and {w.shape}"
        )
    _check_operands(x[0], w[0], mode, k_max)
    return _multiply(x, w, mode)


def gemm_piecewise(
    x: NDArray[np.integer], w: NDArray[np.integer], mode: Mode, k_max: int = K_MAX
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Dual-scale accumulators (acc1, acc2), int64 [M, N] each, of a mode with piece-wise weights.

    acc1 sums the products of region 1. acc2 sums those of region 2 with the weight before the ratio
    r, sign(q) * (|q| - split + t). acc1 + r * acc2 equals `gemm`. Raises ValueError as `gemm` does,
    and for weights of another format.
    """
    fmt = _piecewise(mode)
    _check_operands(x, w, mode, k_max)
    real = _exact_type(x.shape[1], mode)
    x_values = decode_as(real, x, mode.x_format, "x")
    check_codes(w, fmt, "w")
    codes = w.astype(real)
    outer = np.abs(codes) >= fmt.split
    inner_values = np.where(outer, 0, codes)
    outer_values = np.where(outer, np.sign(codes) * (np.abs(codes) - fmt.split + fmt.offset), 0)
    return (x_values @ inner_values).astype(np.int64), (x_values @ outer_values).astype(np.int64)


def _piecewise(mode: Mode) -> Piecewise:
    match mode.w_format:
        case Piecewise() as fmt:
            return fmt
        case other:
            raise ValueError(f"mode: expected piece-wise weights, got {other} in {mode.name}")


def _check_operands(
    x: NDArray[np.integer], w: NDArray[np.integer], mode: Mode, k_max: int | None
) -> tuple[int, int, int]:
    """Check shapes, and K against `k_max`; return (M, K, N).

    With `k_max` None the codes are checked here, because this caller does not decode them in bulk.
    """
    if x.ndim != 2:
        raise ValueError(f"x: expected a matrix [M, K], got shape {x.shape}")
    if w.ndim != 2:
        raise ValueError(f"w: expected a matrix [K, N], got shape {w.shape}")
    (rows, depth), columns = x.shape, w.shape[1]
    if w.shape[0] != depth:
        raise ValueError(f"w: expected K = {depth} rows to match x, got {w.shape[0]}")
    if rows < 1:
        raise ValueError("M: expected at least 1 row of x, got 0")
    if columns < 1:
        raise ValueError("N: expected at least 1 column of w, got 0")
    if k_max is not None and not 1 <= depth <= k_max:
        raise ValueError(f"K: expected 1..{k_max} (k_max), got {depth}")
    if k_max is None:
        check_codes(x, mode.x_format, "x")
        check_codes(w, mode.w_format, "w")
    return rows, depth, columns


def _multiply(x: NDArray[np.integer], w: NDArray[np.integer], mode: Mode) -> NDArray[np.int64]:
    """acc [..., M, N] of codes x [..., M, K] and w [..., K, N]."""
    real = _exact_type(x.shape[-1], mode)
    values = decode_as(real, x, mode.x_format, "x"), decode_as(real, w, mode.w_format, "w")
    acc: NDArray[np.int64] = np.matmul(*values).astype(np.int64)
    return acc


def _exact_type(depth: int, mode: Mode) -> TypeName:
    """Smallest type in which every partial sum of `depth` products is exact.

    Raises ValueError if there is none.
    """
    # Use the bound of the formats: they hold the actual ratio and offset, so it is tighter than
    # the mode's.
    bound = mode.x_format.max_value * mode.w_format.max_value
    if depth * bound >= EXACT:
        raise ValueError(f"K: expected sums below 2^53, got {depth} products of up to {bound}")
    return "float32" if depth * bound < EXACT_SINGLE else "float64"
