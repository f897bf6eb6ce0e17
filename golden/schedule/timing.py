"""How long a core takes for its commands: a model of its queues, streams and array, tile by tile."""

from bisect import bisect_left
from collections.abc import Sequence

from golden.spec.commands import Command, Compute, Configure, Geometry, Load, Output, Ring

__all__ = ["COMMAND_CYCLES", "FREE_CYCLES", "LOAD_GAP", "PLACE_CYCLES", "TILE_CYCLES", "predict"]

COMMAND_CYCLES = 6
"""From one command to the next, when nothing is in the way."""

LOAD_GAP = 1
"""Cycles between two loads."""

TILE_CYCLES = 3
"""From one tile's first k to the next one's, at least."""

PLACE_CYCLES = 4
"""From the drain's taking of a tile's last chunk to the last k of the tile that was waiting for its place."""

FREE_CYCLES = 1
"""From a tile's last k to its lines being free, more than from a line's last beat to its being loaded."""


class _Line:
    """A ring's traffic in lines since the start: when they were loaded, and when they were given back."""

    def __init__(self, ring: Ring, first: int):
        self.ring = ring
        self.first = first
        self.loaded: list[int] = []
        self.loaded_at: list[float] = []
        self.given: list[int] = []
        self.given_at: list[float] = []
        self.tail = first
        self.head = first

    def load(self, lines: int, start: float) -> float:
        """When a load that may start at `start` is complete."""
        time, done, target = start, self.head, self.head + lines
        pace = self.ring.transfers(lines) / lines
        while done < target:
            # Given back before `time`, or as the next thing that happens.
            events = bisect_left(self.given_at, time + 1)
            room = (self.given[events - 1] if events else self.first) + self.ring.lines
            if room <= done:
                time = self.given_at[bisect_left(self.given, done + 1 - self.ring.lines)]
                continue
            count = min(room, target) - done
            time += count * pace
            done += count
        self.head = target
        self.loaded.append(target)
        self.loaded_at.append(time)
        return time

    def ready(self, line: int, lines: int) -> tuple[float, int]:
        """When a panel is loaded, and the line behind it since the start."""
        end = self.tail + (line - self.tail) % self.ring.lines + lines
        return self.loaded_at[bisect_left(self.loaded, end)], end

    def free(self, end: int, time: float) -> None:
        """Give back what is before `end`."""
        self.tail = end
        self.given.append(end)
        self.given_at.append(time)


def predict(
    commands: Sequence[Command], geometry: Geometry, heads: tuple[int, int, int] = (0, 0, 0)
) -> int:
    """Cycles from the first command accepted to the last result out, no stream ever pausing.

    The commands must be ones that the core accepts when its rings' next lines are `heads`.
    """
    rings = [_Line(ring, first) for ring, first in zip(geometry.rings, heads, strict=True)]
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
                last = max(last, outs[-geometry.slots] - geometry.drain + PLACE_CYCLES)
            begins.append(begin)
            ends.append(last)
            chunks = -(-command.columns // geometry.results)
            out = max(last + geometry.latency, outs[-1] if outs else 0)
            # Rows drain two cycles apart.
            drained = last + geometry.latency + 2 * (min(command.rows, geometry.rows) - 1)
            outs.append(max(out + command.rows * chunks, drained + chunks))
            for ring, end in panels.items():
                if command.free >> ring & 1:
                    rings[ring].free(
                        end, FREE_CYCLES + (last if ring < 2 else outs[-1] - geometry.drain)
                    )
    return round(outs[-1]) if outs else round(decoded)


def _ready(
    command: Compute, settings: Configure, rings: Sequence[_Line], geometry: Geometry
) -> tuple[float, dict[int, int]]:
    """When all panels of a tile are loaded, and the lines behind them by ring."""
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
