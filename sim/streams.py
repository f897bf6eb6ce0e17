"""Between jobs and the core's streams: bytes of every payload, by the layouts the hardware declares."""

from collections.abc import Iterable

import numpy as np
from amaranth.lib import data
from numpy.typing import NDArray

from golden.formats import Piecewise
from golden.tiling import Tiling
from hw.config import Config
from hw.core import epilogue_layout, result_layout
from hw.requantizer import SCALING_LAYOUT

Payloads = NDArray[np.uint8]
"""Payloads [count, bytes], little-endian."""


def beats(tiling: Tiling, config: Config) -> Payloads:
    """The operand stream of a job: K beats for each of its tiles."""
    job, layout = tiling.job, config.beat_layout
    k, total = job.shape[1], tiling.tiles * job.shape[1]
    payloads = np.zeros((total, _bytes(layout)), np.uint8)
    by_tile = payloads.reshape(tiling.n_tiles, tiling.m_tiles, k, -1)
    x, w = layout["x"].offset // 8, layout["w"].offset // 8
    by_tile[..., x : x + config.rows] = tiling.x_panels()[None]
    by_tile[..., w : w + config.cols] = tiling.w_panels()[:, None]

    fmt = job.mode.w_format
    offset = fmt.offset if isinstance(fmt, Piecewise) else 0
    tail = (config.index(job.mode) << layout["mode"].offset) | (offset << layout["offset"].offset)
    payloads |= _constant(tail, payloads.shape[1])
    by_tile[:, :, -1] |= _constant(1 << layout["last"].offset, payloads.shape[1])
    return payloads


def epilogues(tiling: Tiling, config: Config) -> Payloads:
    """The epilogue stream of a job: one payload for each of its tiles."""
    job, layout = tiling.job, epilogue_layout(config)
    epilogue = job.epilogue
    columns = {
        "bias": tiling.columns(job.bias),
        "mult": tiling.columns(epilogue.mult if epilogue else None),
        "shift": tiling.columns(epilogue.shift if epilogue else None),
    }
    bits = np.zeros((tiling.n_tiles, _bytes(layout) * 8), np.uint8)
    for n in range(tiling.tile_n):
        column, lane = divmod(n, job.mode.w_lanes)
        base = layout["scaling"].offset + (column * config.w_lanes + lane) * SCALING_LAYOUT.size
        for name, values in columns.items():
            _put(bits, base, SCALING_LAYOUT[name], values[:, n])
    fmt = job.mode.w_format
    flags = {
        "ratio": fmt.ratio if isinstance(fmt, Piecewise) else 0,
        "raw": int(epilogue is None),
        "narrow": int(epilogue is not None and epilogue.bits == 4),
    }
    for name, value in flags.items():
        _put(bits, 0, layout[name], np.full(tiling.n_tiles, value))
    return np.repeat(np.packbits(bits, axis=1, bitorder="little"), tiling.m_tiles, axis=0)


def outputs(tiling: Tiling, config: Config, payloads: Payloads) -> NDArray[np.integer]:
    """y [M, N] of a job from its results: int64 when raw, int8 when requantized."""
    mode, layout = tiling.job.mode, result_layout(config)
    width = config.result_width
    shape = (len(payloads), config.cols, config.w_lanes, config.x_lanes, width)
    bits = np.unpackbits(payloads, axis=1, bitorder="little", count=layout["last"].offset).reshape(shape)
    # Only the lanes that the mode fills are results.
    bits = bits[:, :, : mode.w_lanes, : mode.x_lanes]
    weights = np.left_shift(np.int64(1), np.arange(width, dtype=np.int64))
    weights[-1] = -weights[-1]
    values = (bits @ weights).reshape(tiling.tiles, config.rows, config.cols, mode.w_lanes, mode.x_lanes)
    tiles = values.transpose(0, 1, 4, 2, 3).reshape(tiling.tiles, tiling.tile_m, tiling.tile_n)
    y = tiling.assemble(tiles.astype(np.int64))
    return y if tiling.job.epilogue is None else y.astype(np.int8)


def concatenated(parts: Iterable[Payloads]) -> Payloads:
    """Payloads one after another."""
    return np.concatenate(list(parts), axis=0)


def _bytes(layout: data.StructLayout) -> int:
    return -(-layout.size // 8)


def _constant(value: int, size: int) -> NDArray[np.uint8]:
    return np.frombuffer(value.to_bytes(size, "little"), np.uint8)


def _put(bits: NDArray[np.uint8], base: int, field: data.Field, values: NDArray[np.integer]) -> None:
    """Write values [count] into a field that starts at `base` + its offset."""
    start = base + field.offset
    width = field.width
    bits[:, start : start + width] = (values.astype(np.int64)[:, None] >> np.arange(width)) & 1
