"""Simulation of an array of one PE: codes in, one set of sums per tile out."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from golden.numeric.codec import decode
from golden.spec.formats import Piecewise
from golden.spec.modes import Mode
from hw.config import Config
from hw.verilog.design import Design, generate
from tests.support.cycles import MODELS, simulate, stimulus_of, values_at

DEPTHS = {"generic": 300, "ecp5": 4096}
"""k_max of each family's build: one not a power of two, and the default, with the widest sums."""

RESET_CYCLES = 16
"""Cycles of reset before a run, and idle cycles after it."""


@dataclass(frozen=True)
class Beats:
    """Array steps of one mode.

    x codes are [count, x_lanes], w codes [count, w_lanes], flags [count].
    """

    mode: Mode
    x: NDArray[np.integer]
    w: NDArray[np.integer]
    last: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    reset: int | None = None
    """The index of a beat at which the array is reset instead."""


def pairs(mode: Mode, x_codes: NDArray[np.integer], w_codes: NDArray[np.integer]) -> Beats:
    """Every x code with every w code in every lane, one product per tile.

    Other lanes contain other codes at the same time.
    """
    x, w = (part.ravel() for part in np.meshgrid(x_codes, w_codes, indexing="ij"))
    x = np.stack([np.roll(x, 5 * lane) for lane in range(mode.x_lanes)], axis=1)
    w = np.stack([np.roll(w, 3 * lane) for lane in range(mode.w_lanes)], axis=1)
    every = np.ones(len(x), np.bool_)
    return Beats(mode, x, w, every, every)


def expected(beats: Beats) -> NDArray[np.int64]:
    """Sums, int64 [tiles, w_lanes, x_lanes], computed by NumPy."""
    x, w = decode(beats.x, beats.mode.x_format), decode(beats.w, beats.mode.w_format)
    products = np.where(beats.valid[:, None, None], w[:, :, None] * x[:, None, :], 0)
    totals = np.cumsum(products, axis=0)[beats.valid & beats.last]
    return np.diff(totals, axis=0, prepend=0)


def simulated(config: Config, beats: Beats, family: str, simulator: str) -> NDArray[np.int64]:
    """The same sums from the generated Verilog on a simulator (one of SIMULATORS)."""
    design, layout, mode = _design(config, family), config.step_layout, beats.mode
    fmt = mode.w_format
    fields = {
        "x": _byte(beats.x),
        "w": _byte(beats.w),
        "mode": config.index(mode),
        "offset": fmt.offset if isinstance(fmt, Piecewise) else 0,
        "last": beats.last.astype(np.int64),
    }
    beat = np.zeros(len(beats.x), np.int64)
    for name, value in fields.items():
        beat |= value << layout[name].offset
    words = stimulus_of(design, valid=beats.valid, step=beat)
    (reset,) = stimulus_of(design, rst=[1])
    if beats.reset is not None:
        words[beats.reset] = reset
    stimulus = [reset] * RESET_CYCLES + words + [0] * RESET_CYCLES
    with TemporaryDirectory() as folder:
        outputs = simulate(design, stimulus, simulator, Path(folder), MODELS[family])
    drained, sums = (values_at(design, name, outputs) for name in ("drained", "sums"))
    return np.array(
        [_sums(word, config, mode) for word, ends in zip(sums, drained, strict=True) if ends]
    )


def _byte(codes: NDArray[np.integer]) -> NDArray[np.int64]:
    if codes.shape[1] == 1:
        return codes[:, 0].astype(np.int64) & 0xFF
    return (codes[:, 0].astype(np.int64) & 0xF) | ((codes[:, 1].astype(np.int64) & 0xF) << 4)


def _sums(word: int, config: Config, mode: Mode) -> NDArray[np.int64]:
    lanes = []
    for width in sum(config.lanes, ()):
        field = word & (1 << width) - 1
        lanes.append(field - (field >> (width - 1) << width))
        word >>= width
    if isinstance(mode.w_format, Piecewise):
        lanes = [lanes[0] + lanes[1] * mode.w_format.ratio]
    return np.array(lanes[: mode.products]).reshape(mode.w_lanes, mode.x_lanes)


@lru_cache
def _design(config: Config, family: str) -> Design:
    return generate("array", config, family)
