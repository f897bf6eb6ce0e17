"""Timing model: cycles of a command sequence, from the core's queues, streams and array."""

from bisect import bisect_left
from collections.abc import Sequence

from golden.spec.commands import Command, Compute, Configure, Geometry, Load, Output, Ring

__all__ = ["COMMAND_CYCLES", "FREE_CYCLES", "LOAD_GAP", "SLOT_CYCLES", "TILE_CYCLES", "predict"]

COMMAND_CYCLES = 6
"""Cycles from one accepted command to the next, without back-pressure."""

LOAD_GAP = 1
"""Cycles between the last transfer of a load and the first of the next."""

TILE_CYCLES = 3
"""Least cycles from the first k of a tile to the first k of the next."""

SLOT_CYCLES = 4
"""Cycles from the drain's last read of a tile to the last k of the tile that needs its slot."""

FREE_CYCLES = 1
"""Cycles from a tile's last k until a load can use the lines that it frees.

The cycles from a load's last transfer until its lines are readable are subtracted.
"""


class _RingTraffic:
    """Times at which lines of one ring were loaded and freed; lines are counted since the start."""

    def __init__(self, ring: Ring, first: int):
        self.ring = ring
        self.first = first
        self.loaded: list[int] = []
        self.loaded_at: list[float] = []
        self.freed: list[int] = []
        self.freed_at: list[float] = []
        self.tail = first
        self.head = first

    def load(self, lines: int, start: float) -> float:
        """Cycle in which a load is complete, if it may begin at `start`."""
        time, done, target = start, self.head, self.head + lines
        pace = self.ring.transfers(lines) / lines
        while done < target:
            # Room includes lines freed in the next cycle. Without room, wait until lines are freed.
            events = bisect_left(self.freed_at, time + 1)
            room = (self.freed[events - 1] if events else self.first) + self.ring.lines
            if room <= done:
                time = self.freed_at[bisect_left(self.freed, done + 1 - self.ring.lines)]
                continue
            count = min(room, target) - done
            time += count * pace
            done += count
        self.head = target
        self.loaded.append(target)
        self.loaded_at.append(time)
        return time

    def ready(self, line: int, lines: int) -> tuple[float, int]:
        """Cycle in which a panel is loaded, and its end in lines since the start."""
        end = self.tail + (line - self.tail) % self.ring.lines + lines
        return self.loaded_at[bisect_left(self.loaded, end)], end

    def free(self, end: int, time: float) -> None:
        """Free all lines before `end` at `time`."""
        self.tail = end
        self.freed.append(end)
        self.freed_at.append(time)


def predict(
    commands: Sequence[Command], geometry: Geometry, heads: tuple[int, int, int] = (0, 0, 0)
) -> int:
    """Predicted cycles from the first accepted command to the last result; no stream stalls.

    The commands must be legal for rings whose write pointers, in lines, are `heads`.
    """
    rings = [_RingTraffic(ring, first) for ring, first in zip(geometry.rings, heads, strict=True)]
    settings = Configure(0, 1)
    decoded = 0.0
    loads: list[float] = []
    begins: list[float] = []
    ends: list[float] = []
    outs: list[float] = []
    for command in commands:
        decoded += COMMAND_CYCLES
        if isinstance(command, Configure):
            settings = command
        elif isinstance(command, Load):
            if len(loads) >= geometry.load_queue:
                decoded = max(decoded, loads[-geometry.load_queue])
            start = max(decoded + 1, loads[-1] + LOAD_GAP if loads else 0)
            loads.append(rings[command.ring].load(command.lines, start))
        else:
            if len(begins) > geometry.compute_queue:
                decoded = max(decoded, begins[-geometry.compute_queue - 1])
            ready, panels = _ready(command, settings, rings, geometry)
            begin = max(decoded + 4, ready + 5)
            last = begin + settings.k - 1
            if begins:
                begin = max(begin, ends[-1] + 1, begins[-1] + TILE_CYCLES)
                last = max(begin + settings.k - 1, ends[-1] + geometry.interval)
            if len(outs) >= geometry.slots:
                last = max(last, outs[-geometry.slots] - geometry.drain + SLOT_CYCLES)
            begins.append(begin)
            ends.append(last)
            chunks = -(-command.columns // geometry.results)
            out = max(last + geometry.latency, outs[-1] if outs else 0)
            # The drain reads one row of the array every two cycles.
            drained = last + geometry.latency + 2 * (min(command.rows, geometry.rows) - 1)
            outs.append(max(out + command.rows * chunks, drained + chunks))
            for ring, end in panels.items():
                if command.free >> ring & 1:
                    rings[ring].free(
                        end, FREE_CYCLES + (last if ring < 2 else outs[-1] - geometry.drain)
                    )
    return round(outs[-1]) if outs else round(decoded)


def _ready(
    command: Compute, settings: Configure, rings: Sequence[_RingTraffic], geometry: Geometry
) -> tuple[float, dict[int, int]]:
    """Cycle in which all panels of a tile are loaded, and their ends by ring."""
    wanted = {
        0: (command.x, geometry.x.lines_for(settings.k)),
        1: (command.w, geometry.w.lines_for(settings.k)),
    }
    if settings.output != Output.SUM:
        wanted[2] = (command.p, geometry.p.lines_for(-(-command.columns // geometry.results)))
    times, ends = [], {}
    for ring, (line, lines) in wanted.items():
        time, ends[ring] = rings[ring].ready(line, lines)
        times.append(time)
    return max(times), ends
