"""The scheduler: GEMMs as commands for a core, in the order that keeps its array fed, and what each load carries."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np

from golden.schedule.job import Job
from golden.schedule.panels import panels_of
from golden.schedule.tiling import Order, Tiling
from golden.schedule.timing import predict
from golden.spec.commands import (
    Command,
    Compute,
    Configure,
    Geometry,
    Load,
    RingName,
)
from golden.spec.formats import Piecewise
from golden.spec.modes import Mode


@dataclass(frozen=True)
class Panel:
    """What one load brings: panel `index` of a job's x, w or parameters."""

    job: int
    ring: RingName
    index: int


@dataclass(frozen=True)
class Place:
    """Where a tile's results belong: y[row : row + rows, column : column + columns] of a job."""

    job: int
    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True)
class Schedule:
    """Commands for a sequence of jobs; the panel of every load and the place of every tile, in order.

    `heads` are the rings' next lines, where another schedule for the same core goes on; `cycles` is
    the prediction, from the first command to the last result.
    """

    jobs: tuple[Job, ...]
    geometry: Geometry
    commands: list[Command]
    panels: list[Panel]
    places: list[Place]
    heads: tuple[int, int, int]
    cycles: int

    @property
    def products(self) -> int:
        """Useful products of all jobs."""
        return sum(int(np.prod(job.shape)) for job in self.jobs)

    @property
    def busy(self) -> float:
        """Cycles of all multipliers in which every product slot of its job's mode is used."""
        pes = self.geometry.rows * self.geometry.cols
        return sum(int(np.prod(job.shape)) / (pes * job.mode.products) for job in self.jobs)

    @property
    def load_beats(self) -> int:
        """Beats of the load stream."""
        loads = [command for command in self.commands if isinstance(command, Load)]
        return sum(self.geometry.rings[load.ring].beats(load.lines) for load in loads)

    def load_stream(self) -> bytes:
        """The load stream, beat after beat."""
        cached: dict[tuple[int, RingName], list[bytes]] = {}
        stream = []
        for panel in self.panels:
            key = panel.job, panel.ring
            if key not in cached:
                cached[key] = panels_of(self.jobs[panel.job], self.geometry, panel.ring)
            stream.append(cached[key][panel.index])
        return b"".join(stream)


def schedule(
    jobs: Sequence[Job],
    geometry: Geometry,
    index: Callable[[Mode], int],
    orders: Sequence[Order] | None = None,
    heads: tuple[int, int, int] = (0, 0, 0),
) -> Schedule:
    """Commands that compute the jobs one after another; `index` gives a mode's number in the build.

    Without `orders` each job gets the one that is predicted fastest. `heads` are the rings' next
    lines when the first command is given: 0 after a reset. Raises ValueError, naming the argument,
    for a K above k_max and for orders whose panels the rings cannot hold.
    """
    for job in jobs:
        if job.shape[1] > geometry.k_max:
            raise ValueError(f"k: expected at most k_max = {geometry.k_max}, got {job.shape[1]}")
    tilings = [Tiling.of(job, geometry) for job in jobs]
    orders = orders or best_orders(tilings)
    commands, panels, places, after = _commands(tilings, index, orders, heads)
    cycles = predict(commands, geometry, heads)
    return Schedule(tuple(jobs), geometry, commands, panels, places, after, cycles)


def best_orders(tilings: Sequence[Tiling]) -> list[Order]:
    """For each the order that is predicted fastest; like neighbours (the heads of an attention) go together."""
    orders: list[Order] = []
    for tiling, group in groupby(tilings):
        count = len(list(group))
        orders += [_best_order(tiling, min(count, _REPEATED))] * count
    return orders


_REPEATED = 4
"""Like neighbours that orders are compared on: enough to show what one leaves to the next."""


@lru_cache(maxsize=4096)
def _best_order(tiling: Tiling, count: int) -> Order:
    tried: dict[Order, int] = {}
    for order in _orders(tiling):
        try:
            commands, *_ = _commands([tiling] * count, lambda _: 0, [order] * count, (0, 0, 0))
        except ValueError:
            continue
        tried[order] = predict(commands, tiling.geometry)
    if not tried:
        raise ValueError(f"k: expected panels that fit the buffers, got K = {tiling.shape[1]}")
    return min(tried, key=lambda order: tried[order])


_TRIED = 3
"""Block sizes tried for each operand: the largest that fits and the next smaller ones."""


def _orders(tiling: Tiling) -> Iterator[Order]:
    """Even blocks: as few as possible, and a few more, which leave room for the next panels."""
    rings = tiling.geometry.rings
    for name, count in ((RingName.X, tiling.m_tiles), (RingName.W, tiling.n_tiles)):
        # Parameters stay with their columns.
        kept = tiling.rings[:1] if name is RingName.X else tiling.rings[1:]
        most = max(1, min(rings[each].lines // tiling.lines(each, 0) for each in kept))
        blocks = -(-count // most)
        sizes = dict.fromkeys(-(-count // number) for number in range(blocks, blocks + _TRIED))
        for size in sizes:
            yield Order(name, size)


@dataclass
class _Stay:
    """One stay of a panel: from its load, before tile `first`, to its last use by tile `last`."""

    panel: Panel
    lines: int
    first: int
    last: int
    line: int = -1


def _commands(
    tilings: Sequence[Tiling],
    index: Callable[[Mode], int],
    orders: Sequence[Order],
    first: tuple[int, int, int],
) -> tuple[list[Command], list[Panel], list[Place], tuple[int, int, int]]:
    if not tilings:
        return [], [], [], first
    geometry = tilings[0].geometry
    places, used, stays = _stays(tilings, orders)
    commands: list[Command] = []
    waiting = deque(stays)
    heads, fills = list(first), [0, 0, 0]
    held: list[deque[_Stay]] = [deque(), deque(), deque()]
    ahead: deque[int] = deque()
    settings: Configure | None = None

    def fits(stay: _Stay) -> bool:
        ring = stay.panel.ring
        return fills[ring] + stay.lines <= geometry.rings[ring].lines

    def load(stay: _Stay) -> None:
        ring = stay.panel.ring
        stay.line = heads[ring]
        heads[ring] = (heads[ring] + stay.lines) % geometry.rings[ring].lines
        fills[ring] += stay.lines
        held[ring].append(stay)
        commands.append(Load(int(ring), stay.lines))

    for tile, (place, panels) in enumerate(zip(places, used, strict=True)):
        while ahead and ahead[0] <= tile:
            ahead.popleft()
        while waiting and waiting[0].first <= tile:
            if not fits(waiting[0]):
                raise ValueError(
                    f"order: expected panels that fit the {waiting[0].panel.ring.name} buffer"
                )
            load(waiting.popleft())
        # Loads in advance, as many as wait in the queue without keeping back the tiles behind them.
        while waiting and len(ahead) < geometry.load_queue - 2 and fits(waiting[0]):
            ahead.append(waiting[0].first)
            load(waiting.popleft())
        wanted = _configure(tilings[place.job], index)
        if wanted != settings:
            commands.append(wanted)
            settings = wanted
        free = 0
        for stay in panels:
            ring = stay.panel.ring
            if stay.last == tile:
                free |= 1 << ring
                while held[ring] and held[ring][0].last <= tile:
                    fills[ring] -= held[ring].popleft().lines
        lines = {stay.panel.ring: stay.line for stay in panels}
        commands.append(
            Compute(
                lines[RingName.X],
                lines[RingName.W],
                lines.get(RingName.P, 0),
                place.rows,
                place.columns,
                free,
            )
        )
    return commands, [stay.panel for stay in stays], places, (heads[0], heads[1], heads[2])


def _stays(
    tilings: Sequence[Tiling], orders: Sequence[Order]
) -> tuple[list[Place], list[list[_Stay]], list[_Stay]]:
    """The tiles' places, the panels that each uses, and all stays in the order of their first use."""
    places: list[Place] = []
    used: list[list[_Stay]] = []
    stays: list[_Stay] = []
    for number, (tiling, order) in enumerate(zip(tilings, orders, strict=True)):
        known: dict[tuple[RingName, int], _Stay] = {}
        for i, j, x_life, w_life in order.tiles(tiling.m_tiles, tiling.n_tiles):
            tile = len(places)
            row, column = i * tiling.tile_m, j * tiling.tile_n
            places.append(Place(number, row, column, tiling.rows(i), tiling.columns(j)))
            panels = []
            for ring in tiling.rings:
                life, panel = (x_life, i) if ring is RingName.X else (w_life, j)
                if (ring, life) not in known:
                    lines = tiling.lines(ring, j)
                    known[ring, life] = _Stay(Panel(number, ring, panel), lines, tile, tile)
                    stays.append(known[ring, life])
                known[ring, life].last = tile
                panels.append(known[ring, life])
            used.append(panels)
    return places, used, stays


def _configure(tiling: Tiling, index: Callable[[Mode], int]) -> Configure:
    fmt = tiling.mode.w_format
    ratio, offset = (fmt.ratio, fmt.offset) if isinstance(fmt, Piecewise) else (1, 0)
    return Configure(index(tiling.mode), tiling.shape[1], int(tiling.output), ratio, offset)
