"""Random parameters over their legal ranges: uniform, near powers of two, and at the bounds."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from golden.numeric.codec import all_codes
from golden.numeric.requantize import BIAS_MAX, BIAS_MIN, MULT_MAX, SHIFT_MAX, SHIFT_MIN
from golden.spec.formats import Format, Piecewise
from golden.spec.modes import Mode, mode


def integers(rng: np.random.Generator, low: int, high: int, count: int) -> NDArray[np.int64]:
    """`count` integers in low..high: half uniform, the others near powers of two or at bounds."""
    powers = np.int64(1) << rng.integers(0, max(abs(low), abs(high)).bit_length() + 1, count)
    near = powers * rng.choice([-1, 1], count) + rng.integers(-1, 2, count)
    bounds = rng.choice([low, min(low + 1, high), max(high - 1, low), high], count)
    kinds = rng.choice(3, count, p=[0.5, 0.35, 0.15])
    return np.choose(kinds, [rng.integers(low, high + 1, count), np.clip(near, low, high), bounds])


def biases(rng: np.random.Generator, count: int) -> NDArray[np.int32]:
    return integers(rng, BIAS_MIN, BIAS_MAX, count).astype(np.int32)


def mults(rng: np.random.Generator, count: int) -> NDArray[np.int32]:
    return integers(rng, 0, MULT_MAX, count).astype(np.int32)


def shifts(rng: np.random.Generator, count: int) -> NDArray[np.int32]:
    return rng.integers(SHIFT_MIN, SHIFT_MAX + 1, count).astype(np.int32)


def any_piecewise(rng: np.random.Generator, chosen: Mode) -> Mode:
    """The mode, with any ratio and offset if it is piece-wise."""
    if not isinstance(chosen.w_format, Piecewise):
        return chosen
    ratio, offset = int(integers(rng, 1, 63, 1)[0]), int(integers(rng, 0, 63, 1)[0])
    return replace(chosen, w_format=Piecewise(ratio, offset))


def any_mode(rng: np.random.Generator, names: tuple[str, ...], exponent_bits: int = 4) -> Mode:
    """One of the named modes, with any run-time parameters."""
    return any_piecewise(rng, mode(names[rng.integers(len(names))], exponent_bits))


def random_codes(rng: np.random.Generator, fmt: Format, *shape: int) -> np.ndarray:
    """Random codes of `shape`, uniform over the legal codes of `fmt`."""
    return rng.choice(all_codes(fmt), shape)
