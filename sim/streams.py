"""Between schedules and the core's streams: the bytes of every payload, by the layouts the hardware declares."""

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

Payloads = NDArray[np.uint8]
"""Payloads [count, bytes], little-endian."""


def commands(schedule: Schedule) -> Payloads:
    """The command stream of a schedule."""
    size = COMMAND_WIDTH // 8
    words = b"".join(encode(command).to_bytes(size, "little") for command in schedule.commands)
    return np.frombuffer(words, np.uint8).reshape(-1, size)


def loads(schedule: Schedule) -> Payloads:
    """The load stream of a schedule."""
    return np.frombuffer(schedule.load_stream(), np.uint8).reshape(-1, schedule.geometry.bus)


def patience(config: Config) -> int:
    """Cycles without any transfer after which a core has lost something: longer than a tile, or a pause, takes."""
    return 20_000 + 2 * config.k_max


def result_transfers(schedule: Schedule) -> int:
    """Payloads of the result stream that a schedule asks for."""
    lanes = schedule.geometry.results
    return sum(place.rows * -(-place.columns // lanes) for place in schedule.tiles)


def settling_cycles(config: Config) -> int:
    """Cycles after the last result in which a core that delivers too much offers it: longer than any way through it."""
    return 4 * (config.rows + config.cols) + 64


def check(
    schedules: Sequence[Schedule], statuses: NDArray[np.uint8], payloads: Payloads, simulator: str
) -> None:
    """Raise ToolError unless every command was accepted and as many results came as were asked for."""
    count = sum(len(schedule.commands) for schedule in schedules)
    if len(statuses) != count or statuses.any():
        wrong = int(np.flatnonzero(statuses)[0]) if statuses.any() else len(statuses)
        status = Status(int(statuses[wrong])).name if wrong < len(statuses) else "none"
        raise ToolError(
            f"{simulator}: command {wrong} of {count}: expected status OK, got {status}"
        )
    beats = sum(map(result_transfers, schedules))
    if len(payloads) != beats:
        raise ToolError(
            f"{simulator}: the core delivered {len(payloads)} beats of results, expected {beats}"
        )


def values(config: Config, payloads: Payloads) -> NDArray[np.int64]:
    """The results in a result stream, one after another."""
    layout, width = result_layout(config), config.result_width
    bits = np.unpackbits(payloads, axis=1, bitorder="little")
    lanes = bits[:, : config.results * width].reshape(len(payloads), config.results, width)
    weights = np.left_shift(np.int64(1), np.arange(width, dtype=np.int64))
    weights[-1] = -weights[-1]
    field = layout["count"]
    count = bits[:, field.offset : field.offset + field.width] @ np.left_shift(
        1, np.arange(field.width)
    )
    present = np.arange(config.results) <= count[:, None]
    return np.asarray(lanes @ weights, np.int64)[present]


def outputs(schedule: Schedule, results: NDArray[np.int64]) -> list[NDArray[np.integer]]:
    """y [M, N] of every job from its results: int64, or int8 when requantized.

    Raises ToolError if some lack.
    """
    expected = sum(place.rows * place.columns for place in schedule.tiles)
    if len(results) != expected:
        raise ToolError(f"rtl: the core delivered {len(results)} results, expected {expected}")
    found = [np.zeros((job.shape[0], job.shape[2]), np.int64) for job in schedule.jobs]
    position = 0
    for place in schedule.tiles:
        size = place.rows * place.columns
        tile = results[position : position + size].reshape(place.rows, place.columns)
        rows, columns = (
            slice(place.row, place.row + place.rows),
            slice(place.column, place.column + place.columns),
        )
        found[place.job][rows, columns] = tile
        position += size
    return [
        y if job.epilogue is None else y.astype(np.int8)
        for job, y in zip(schedule.jobs, found, strict=True)
    ]
