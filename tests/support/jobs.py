"""Random and extreme GEMM jobs."""

from typing import Any

import numpy as np

from golden.numeric.codec import all_codes
from golden.schedule.job import Epilogue, Job
from golden.spec.formats import Format, Log2
from golden.spec.modes import Mode, mode
from hw.config import Config
from tests.support import legal

PATTERNS = ("random", "highest", "lowest", "alternating")


def config(
    *names: str, rows: int = 8, cols: int = 8, exponent_bits: int = 4, **parameters: Any
) -> Config:
    modes = tuple(mode(name, exponent_bits) for name in names)
    return Config(modes=modes, rows=rows, cols=cols, **parameters)


def codes(
    rng: np.random.Generator, fmt: Format, shape: tuple[int, int], pattern: str
) -> np.ndarray:
    if pattern == "random":
        return rng.choice(all_codes(fmt), shape)
    legal = all_codes(fmt)
    # The sign of a log2 code is its highest bit, so the largest value is in the middle.
    high, low = (
        (legal[len(legal) // 2 - 1], legal[-1]) if isinstance(fmt, Log2) else (legal[-1], legal[0])
    )
    if pattern == "alternating":
        return np.where(np.indices(shape).sum(axis=0) % 2, high, low).astype(legal.dtype)
    return np.full(shape, high if pattern == "highest" else low, legal.dtype)


def random_job(
    rng: np.random.Generator,
    chosen: Mode,
    shape: tuple[int, int, int],
    *,
    requantize: bool,
    biased: bool = True,
    bits: int | None = None,
    patterns: tuple[str, str] = ("random", "random"),
    name: str = "job",
) -> Job:
    """A job of shape (M, K, N), requantized to `bits` (default: the width of x's codes).

    Half of its columns have any legal parameters; the results of the others are mostly in range.
    """
    m, k, n = shape
    x = codes(rng, chosen.x_format, (m, k), patterns[0])
    w = codes(rng, chosen.w_format, (k, n), patterns[1])
    bias, epilogue = legal.biases(rng, n), None
    if requantize:
        bits = bits or chosen.x_format.code_width
        # In half of the columns most results are in range, so that rounding matters.
        fitted = rng.random(n) < 0.5
        spread = chosen.output_bound * max(1, int(np.sqrt(k))) // 200
        near = 15 + spread.bit_length() + rng.integers(-4, 3, n) + 8 - bits
        bias = np.where(fitted, rng.integers(-(2**12), 2**12, n), bias)
        mult = np.where(fitted, rng.integers(2**14, 2**15, n), legal.mults(rng, n))
        shift = np.where(fitted, np.clip(near, 1, 47), legal.shifts(rng, n))
        epilogue = Epilogue(mult.astype(np.int32), shift.astype(np.int32), bits)
    return Job(name, chosen, x, w, bias.astype(np.int32) if biased else None, epilogue)
