"""The core as a shared library: Verilator's model, and streams moved in and out of it a million cycles at a time."""

import ctypes
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from golden.commands import COMMAND_WIDTH
from hw.drain import result_layout
from sim.build import LIBRARY, Build
from sim.errors import ToolError
from sim.streams import patience as streams_patience

CHUNK = 100_000
"""Cycles between two looks at the progress."""

_ALWAYS = 0xFFFFFFFF


class _Streams(ctypes.Structure):
    """The structure of the same name in compiled.cpp."""

    _fields_ = [
        *((name, ctypes.c_void_p) for name in ("commands", "loads", "status", "results")),
        *((name, ctypes.c_int64) for name in ("command_bytes", "load_bytes", "result_bytes")),
        *((f"{name}_end", ctypes.c_int64) for name in ("commands", "loads", "status", "results")),
        *((f"{name}_done", ctypes.c_int64) for name in ("commands", "loads", "status", "results")),
        *((name, ctypes.c_int64) for name in ("cycle", "first", "last", "idle")),
        ("stalls", ctypes.c_uint32 * 4),
        ("pause_from", ctypes.c_int64 * 4),
        ("pause_to", ctypes.c_int64 * 4),
        ("offered", ctypes.c_uint32 * 2),
        ("random", ctypes.c_uint64),
    ]


@dataclass(frozen=True)
class Traffic:
    """What moved: statuses [count], results [beats, bytes], and cycles from the first command to the last result.

    `complete` says that all that was asked for came; `loads` are the beats taken.
    """

    statuses: NDArray[np.uint8] = field(repr=False)
    results: NDArray[np.uint8] = field(repr=False)
    cycles: int
    loads: int
    complete: bool


class Model:
    """One core in simulation, as after a reset. Several may live beside each other."""

    def __init__(self, build: Build):
        if build.simulator != "verilator":
            raise ToolError(f"simulator: expected a build for verilator, got one for {build.simulator}")
        self._config = build.config
        try:
            self._library = ctypes.CDLL(str(build.folder / LIBRARY))
        except OSError as error:
            raise ToolError(
                f"cache: expected a library that can be loaded, got {error}; on a disk mounted noexec none can: "
                "set TILEBERT_CACHE"
            ) from None
        self._library.core_new.restype = ctypes.c_void_p
        self._core = ctypes.c_void_p(self._library.core_new())
        self.reset()

    def offers(self) -> bool:
        """Whether more comes out than was asked for, within the time that anything takes on its way."""
        cycles = 4 * (self._config.rows + self._config.cols) + 64
        return bool(self._library.core_offers(self._core, ctypes.c_int64(cycles)))

    def __del__(self) -> None:
        if hasattr(self, "_core"):
            self._library.core_delete(self._core)

    def reset(self) -> None:
        """One cycle of reset."""
        self._library.core_reset(self._core)

    def run(
        self,
        commands: NDArray[np.uint8],
        loads: NDArray[np.uint8],
        beats: int,
        *,
        stalls: tuple[float, float, float, float] = (0, 0, 0, 0),
        seed: int = 0,
        pauses: dict[str, tuple[int, int]] | None = None,
        cycles: int | None = None,
        patience: int | None = None,
        progress: Callable[[float], None] | None = None,
    ) -> Traffic:
        """Give commands [count, 12] and loads [beats, bus]; take a status for each and `beats` of results.

        Ends when all have come, after `cycles`, or when nothing has moved for `patience` cycles (by default
        `sim.streams.patience`). `stalls` are the
        probabilities that commands, loads, status and results pause in a cycle, drawn from `seed`; `pauses` are by
        the same names the cycles, from and to, in which a stream certainly does.
        """
        width = -(-result_layout(self._config).size // 8)
        commands, loads = np.ascontiguousarray(commands), np.ascontiguousarray(loads)
        statuses = np.zeros(len(commands), np.uint8)
        # The last payload is copied as whole words of the simulator's.
        results = np.zeros((beats + 1, width), np.uint8)
        windows = [(pauses or {}).get(name, (0, 0)) for name in ("commands", "loads", "status", "results")]
        streams = _Streams(
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
            results_end=beats,
            first=-1,
            stalls=(ctypes.c_uint32 * 4)(*(int(stall * _ALWAYS) for stall in stalls)),
            pause_from=(ctypes.c_int64 * 4)(*(window[0] for window in windows)),
            pause_to=(ctypes.c_int64 * 4)(*(window[1] for window in windows)),
            random=(seed * 2 + 1) * 0x9E3779B97F4A7C15 & (1 << 64) - 1,
        )
        patience = streams_patience(self._config) if patience is None else patience
        limit = cycles if cycles is not None else 1 << 62

        def complete() -> bool:
            return streams.status_done >= len(commands) and streams.results_done >= beats

        while not complete() and streams.cycle < limit and streams.idle <= patience:
            chunk = min(CHUNK, limit - streams.cycle)
            self._library.core_run(
                self._core, ctypes.byref(streams), ctypes.c_int64(chunk), ctypes.c_int64(patience)
            )
            if progress and beats:
                progress(streams.results_done / beats)
        return Traffic(
            statuses[: streams.status_done],
            results[: streams.results_done],
            streams.last - streams.first + 1,
            streams.loads_done,
            complete(),
        )
