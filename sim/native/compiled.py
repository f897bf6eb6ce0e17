"""Driver of Verilator's compiled model, through a C++ library that moves whole streams."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from golden.schedule.scheduler import Schedule
from golden.spec.commands import COMMAND_WIDTH
from hw.gateware.output.drain import result_layout
from sim import streams
from sim.build import Build
from sim.compilation import LIBRARY
from sim.errors import ToolError
from sim.stalls import PERIOD, STREAMS, Stalls

__all__ = ["CHUNK", "Model", "Traffic", "layout"]

CHUNK = 100_000
"""Cycles between two progress reports."""


class _Streams(ctypes.Structure):
    """ctypes view of the structure Streams in compiled.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in STREAMS),
        *((name, ctypes.c_int64) for name in ("command_bytes", "load_bytes", "result_bytes")),
        *((f"{name}_end", ctypes.c_int64) for name in STREAMS),
        *((f"{name}_done", ctypes.c_int64) for name in STREAMS),
        *((name, ctypes.c_int64) for name in ("cycle", "first", "last", "idle")),
        ("pauses", ctypes.c_void_p),
        ("period", ctypes.c_int64),
        ("pause_from", ctypes.c_int64 * len(STREAMS)),
        ("pause_to", ctypes.c_int64 * len(STREAMS)),
        ("command_offered", ctypes.c_int64),
        ("load_offered", ctypes.c_int64),
    ]


def layout() -> str:
    """Name, offset and size of every field of the structure, and its total size, as one string."""
    fields = {each[0]: getattr(_Streams, each[0]) for each in _Streams._fields_}
    parts = [f"{name}:{field.offset}:{field.size}" for name, field in fields.items()]
    return " ".join([*parts, str(ctypes.sizeof(_Streams))])


@dataclass(frozen=True)
class Traffic:
    """Transfers of one run: statuses [count] and results [transfers, bytes].

    `cycles` counts from the first command to the last result. `loads` is the number of load
    transfers. `complete` tells whether everything expected was delivered.
    """

    statuses: NDArray[np.uint8] = field(repr=False)
    results: NDArray[np.uint8] = field(repr=False)
    cycles: int
    loads: int
    complete: bool


class Model:
    """A simulated core, just after reset; several can exist at once.

    Raises ToolError for a build of another simulator and for a library with other structures.
    """

    def __init__(self, build: Build):
        if build.simulator != "verilator":
            raise ToolError(
                f"simulator: expected a build for verilator, got one for {build.simulator}"
            )
        self._config = build.config
        self._library = _library(build.folder / LIBRARY)
        self._library.core_new.restype = ctypes.c_void_p
        self._core = ctypes.c_void_p(self._library.core_new())
        self.reset()

    def offers(self) -> bool:
        """Whether the core offers surplus transfers within `streams.settling_cycles`."""
        cycles = streams.settling_cycles(self._config)
        return bool(self._library.core_offers(self._core, ctypes.c_int64(cycles)))

    def __del__(self) -> None:
        if hasattr(self, "_core"):
            self._library.core_delete(self._core)

    def reset(self) -> None:
        """Reset the core for one cycle."""
        self._library.core_reset(self._core)

    def serve(
        self,
        plan: Schedule,
        *,
        stalls: Stalls | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Traffic:
        """Run a schedule and return its traffic; the caller checks the results' values.

        Raises ToolError unless every command is accepted and exactly the expected results arrive.
        """
        traffic = self.run(
            streams.commands(plan),
            streams.loads(plan),
            streams.result_transfers(plan),
            stalls=stalls,
            progress=progress,
        )
        streams.check([plan], traffic.statuses, traffic.results, "verilator")
        if self.offers():
            raise ToolError(f"verilator: {streams.TOO_MANY}")
        return traffic

    def run(
        self,
        commands: NDArray[np.uint8],
        loads: NDArray[np.uint8],
        transfers: int,
        *,
        stalls: Stalls | None = None,
        pauses: dict[str, tuple[int, int]] | None = None,
        cycles: int | None = None,
        patience: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Traffic:
        """Drive commands [count, 12] and loads [transfers, bus]; collect statuses and results.

        Expects one status per command and `transfers` of results. Ends when all have arrived, after
        `cycles`, or after `patience` cycles without a transfer (default `streams.patience`).
        `stalls` are random stalls. `pauses` gives, by stream, a range of cycles (start, end) in
        which it always stalls.
        """
        width = -(-result_layout(self._config).size // 8)
        commands, loads = np.ascontiguousarray(commands), np.ascontiguousarray(loads)
        statuses = np.zeros(len(commands), np.uint8)
        # One spare row: the simulator copies whole words, which may extend past the last payload.
        results = np.zeros((transfers + 1, width), np.uint8)
        windows = [(pauses or {}).get(name, (0, 0)) for name in STREAMS]
        table = None if stalls is None else stalls.pauses()
        counts = _Streams(
            commands=commands.ctypes.data,
            loads=loads.ctypes.data,
            status=statuses.ctypes.data,
            results=results.ctypes.data,
            command_bytes=COMMAND_WIDTH // 8,
            load_bytes=self._config.bus,
            result_bytes=width,
            commands_end=len(commands),
            loads_end=len(loads),
            status_end=len(commands),
            results_end=transfers,
            first=-1,
            pauses=None if table is None else table.ctypes.data,
            period=PERIOD,
            pause_from=(ctypes.c_int64 * len(STREAMS))(*(window[0] for window in windows)),
            pause_to=(ctypes.c_int64 * len(STREAMS))(*(window[1] for window in windows)),
        )
        patience = streams.patience(self._config) if patience is None else patience
        limit = cycles if cycles is not None else 1 << 62

        def complete() -> bool:
            return counts.status_done >= len(commands) and counts.results_done >= transfers

        while not complete() and counts.cycle < limit and counts.idle <= patience:
            chunk = min(CHUNK, limit - counts.cycle)
            self._library.core_run(
                self._core, ctypes.byref(counts), ctypes.c_int64(chunk), ctypes.c_int64(patience)
            )
            if progress and transfers:
                progress(counts.results_done / transfers)
        return Traffic(
            statuses[: counts.status_done],
            results[: counts.results_done],
            counts.last - counts.first + 1,
            counts.loads_done,
            complete(),
        )


def _library(path: Path) -> ctypes.CDLL:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise ToolError(
            f"cache: expected a library that can be loaded, got {error}; "
            "on a disk mounted noexec none can: set TILEBERT_CACHE"
        ) from None
    found = "none"
    if hasattr(library, "core_layout"):
        library.core_layout.restype = ctypes.c_char_p
        found = library.core_layout().decode()
    if found != layout():
        expected, got = next(
            pair
            for pair in zip_longest(layout().split(), found.split(), fillvalue="none")
            if pair[0] != pair[1]
        )
        raise ToolError(
            f"{path}: expected the streams of sim/native/compiled.py with {expected} "
            f"(name:offset:size), got {got}; remove {path.parent}"
        )
    return library
