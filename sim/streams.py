"""Conversion between schedules and the payloads of the core's streams.

The layouts of payloads are those that the hardware declares.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from golden.schedule.scheduler import Schedule
from golden.spec.commands import COMMAND_WIDTH, Status, encode
from hw.config import Config
from hw.gateware.output.drain import result_layout
from sim.errors import ToolError

__all__ = [
    "TOO_MANY",
    "Payloads",
    "check",
    "commands",
    "loads",
    "outputs",
    "patience",
    "result_transfers",
    "settling_cycles",
    "values",
]

TOO_MANY = "the core delivers more than was asked for"
"""Message for surplus results."""

Payloads = NDArray[np.uint8]
"""Payloads of a stream, uint8 [count, bytes], little-endian."""


def commands(schedule: Schedule) -> Payloads:
    """Command stream of a schedule."""
    size = COMMAND_WIDTH // 8
    words = b"".join(encode(command).to_bytes(size, "little") for command in schedule.commands)
    return np.frombuffer(words, np.uint8).reshape(-1, size)


def loads(schedule: Schedule) -> Payloads:
    """Load stream of a schedule."""
    return np.frombuffer(schedule.load_stream(), np.uint8).reshape(-1, schedule.geometry.bus)


def patience(config: Config) -> int:
    """Cycles without a transfer after which a core counts as stuck.

    This is more than any tile or stall takes.
    """
    return 20_000 + 2 * config.k_max


def result_transfers(schedule: Schedule) -> int:
    """Transfers on the result stream of a schedule."""
    width = schedule.geometry.results
    return sum(tile.rows * -(-tile.columns // width) for tile in schedule.tiles)


def settling_cycles(config: Config) -> int:
    """Cycles after the last result within which any surplus results appear.

    This is more than the core's latency.
    """
    return 4 * (config.rows + config.cols) + 64


def check(
    schedules: Sequence[Schedule], statuses: NDArray[np.uint8], payloads: Payloads, simulator: str
) -> None:
    """Raise ToolError unless all commands were accepted and all expected results were delivered."""
    count = sum(len(schedule.commands) for schedule in schedules)
    if len(statuses) != count or statuses.any():
        wrong = int(np.flatnonzero(statuses)[0]) if statuses.any() else len(statuses)
        status = Status(int(statuses[wrong])).name if wrong < len(statuses) else "none"
        raise ToolError(
            f"{simulator}: command {wrong} of {count}: expected status OK, got {status}"
        )
    count = sum(map(result_transfers, schedules))
    if len(payloads) != count:
        raise ToolError(f"{simulator}: expected {count} result transfers, got {len(payloads)}")


def values(config: Config, payloads: Payloads) -> NDArray[np.int64]:
    """Results in the payloads of a result stream, int64 [count], in order."""
    layout, width = result_layout(config), config.result_width
    bits = np.unpackbits(payloads, axis=1, bitorder="little")
    words = bits[:, : config.results * width].reshape(len(payloads), config.results, width)
    weights = np.left_shift(np.int64(1), np.arange(width, dtype=np.int64))
    weights[-1] = -weights[-1]
    field = layout["count"]
    count = bits[:, field.offset : field.offset + field.width] @ np.left_shift(
        1, np.arange(field.width)
    )
    present = np.arange(config.results) <= count[:, None]
    return np.asarray(words @ weights, np.int64)[present]


def outputs(schedule: Schedule, results: NDArray[np.int64]) -> list[NDArray[np.integer]]:
    """y [M, N] of every job from its results: int64, or int8 if requantized.

    Raises ToolError for too few or too many results.
    """
    expected = sum(tile.rows * tile.columns for tile in schedule.tiles)
    if len(results) != expected:
        raise ToolError(f"rtl: the core delivered {len(results)} results, expected {expected}")
    found = [np.zeros((job.shape[0], job.shape[2]), np.int64) for job in schedule.jobs]
    position = 0
    for tile in schedule.tiles:
        size = tile.rows * tile.columns
        block = results[position : position + size].reshape(tile.rows, tile.columns)
        rows, columns = (
            slice(tile.row, tile.row + tile.rows),
            slice(tile.column, tile.column + tile.columns),
        )
        found[tile.job][rows, columns] = block
        position += size
    return [
        y if job.epilogue is None else y.astype(np.int8)
        for job, y in zip(schedule.jobs, found, strict=True)
    ]
