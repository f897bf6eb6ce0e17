"""Self-test scripts: small GEMMs in every mode of a build, with golden's results."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from golden.numeric.codec import all_codes
from golden.numeric.requantize import BIAS_MAX, BIAS_MIN, MULT_MAX, SHIFT_MAX, SHIFT_MIN
from golden.schedule.backend import golden_backend
from golden.schedule.job import Epilogue, Job
from golden.schedule.scheduler import Schedule, schedule
from golden.spec.formats import Format, Piecewise
from golden.spec.modes import Mode
from hw.boards.selftest import Script
from hw.config import Config
from hw.gateware.core.core import geometry
from hw.gateware.output.drain import result_layout
from sim import streams

__all__ = ["PATIENCE", "SHAPE", "script"]

SHAPE = (5, 24, 7)
"""M, K and N: several tiles of a 4 x 4 array, none of them full."""

PATIENCE = 4
"""Timeout of a script as a multiple of its predicted cycles."""


def script(config: Config, seed: int = 0) -> Script:
    """Script with one raw and one requantized GEMM per mode.

    Operands and parameters are random and include the extremes. Raises ValueError if the build's
    buffers are too small for SHAPE.
    """
    random = np.random.default_rng(seed)
    jobs = [job for mode in config.modes for job in _pair(mode, config.k_max, random)]
    plan = schedule(jobs, geometry(config), config.index)
    results, modes = _results(config, plan, golden_backend(jobs, config.k_max))
    return Script(
        tuple(_numbers(streams.commands(plan))),
        tuple(_numbers(streams.loads(plan))),
        tuple(results),
        tuple(modes),
        PATIENCE * plan.cycles + 1000,
    )


def _pair(mode: Mode, k_max: int, random: np.random.Generator) -> list[Job]:
    m, k, n = SHAPE
    # A ratio other than the default, so that a core that ignores CONFIGURE's ratio fails.
    w_format: Format = Piecewise(5) if isinstance(mode.w_format, Piecewise) else mode.w_format
    x, w = (
        _codes(fmt, shape, random) for fmt, shape in ((mode.x_format, (m, k)), (w_format, (k, n)))
    )
    # Every column contains the extreme codes and, for piece-wise codes, both sides of the split.
    marks = [w.flat[0], w.flat[1], *([63, 64, -63, -64] if isinstance(w_format, Piecewise) else [])]
    w[: len(marks)] = np.array(marks, w.dtype)[:, None]
    bias = random.integers(-(1 << 12), 1 << 12, n).astype(np.int32)
    bias[:2] = BIAS_MIN, BIAS_MAX
    raw = Job(f"{mode.name}/raw", replace(mode, w_format=w_format), x, w, bias)
    (sums,) = golden_backend([raw], k_max)
    # A shift for columns 2 and up: their largest results are clamped, the others are in range.
    shift = 15 + int(np.abs(sums[:, 2:]).max()).bit_length() - 8
    mult = random.integers(1 << 14, 1 << 15, n).astype(np.int32)
    mult[:2] = MULT_MAX
    bits = 4 if mode.x_format.code_width == 4 and mode.products == 4 else 8
    shifts = np.full(n, shift + 8 - bits, np.int32)
    shifts[:2] = SHIFT_MIN, SHIFT_MAX
    epilogue = Epilogue(mult, shifts, bits)
    return [raw, replace(raw, name=f"{mode.name}/requantized", epilogue=epilogue)]


def _codes(fmt: Format, shape: tuple[int, int], random: np.random.Generator) -> NDArray[np.integer]:
    codes = all_codes(fmt)
    chosen = random.choice(codes, shape)
    chosen.flat[:2] = codes[0], codes[-1]
    return np.asarray(chosen.astype(fmt.dtype))


def _results(
    config: Config, plan: Schedule, y: list[NDArray[np.integer]]
) -> tuple[list[int], list[int]]:
    """Expected result stream of a schedule, and the mode of each of its payloads."""
    layout, width = result_layout(config), config.result_width
    last, count = layout["last"].offset, layout["count"].offset
    payloads: list[int] = []
    modes: list[int] = []
    for tile in plan.tiles:
        block = y[tile.job][tile.row :, tile.column :][: tile.rows, : tile.columns]
        starts = range(0, tile.columns, config.results)
        chunks = [row[start : start + config.results] for row in block for start in starts]
        for index, chunk in enumerate(chunks):
            word = sum(
                (int(value) & ((1 << width) - 1)) << (width * position)
                for position, value in enumerate(chunk)
            )
            word |= (len(chunk) - 1) << count | (index + 1 == len(chunks)) << last
            payloads.append(word)
            modes.append(config.index(plan.jobs[tile.job].mode))
    return payloads, modes


def _numbers(payloads: streams.Payloads) -> list[int]:
    return [int.from_bytes(payload.tobytes(), "little") for payload in payloads]
