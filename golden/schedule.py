"""The scheduler: GEMMs as commands for a core, in the order that keeps its array fed, and what each load carries."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np

from golden.commands import (
    PARAMETER_BYTES,
    PARAMETER_FIELDS,
    Command,
    Compute,
    Configure,
    Geometry,
    Load,
    Output,
    RingName,
)
from golden.formats import Piecewise
from golden.job import Job
from golden.modes import Mode
from golden.tiling import Tiling
from golden.timing import predict


@dataclass(frozen=True)
class Order:
    """The order of a job's tiles: `block` panels of one operand stay while those of the other pass by.

    `resident` says whose. After each block the others pass in the opposite direction, so that the last one, still
    there, is the next block's first.
    """

    resident: RingName
    block: int

    def tiles(self, m_tiles: int, n_tiles: int) -> Iterator[tuple[int, int, int, int]]:
        """(row tile, column tile, x lifetime, w lifetime): a lifetime is one stay of a panel in its ring."""
        by_x = self.resident is RingName.X
        kept, passing = (m_tiles, n_tiles) if by_x else (n_tiles, m_tiles)
        run, previous = -1, -1
        for number, first in enumerate(range(0, kept, self.block)):
            order = range(passing) if number % 2 == 0 else range(passing - 1, -1, -1)
            for other in order:
                run += other != previous
                previous = other
                for panel in range(first, min(first + self.block, kept)):
                    yield (panel, other, panel, run) if by_x else (other, panel, run, panel)


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

    `heads` are the rings' next lines, where another schedule for the same core goes on; `cycles` is the prediction,
    from the first command to the last result.
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
        tilings = [Tiling(job, self.geometry.rows, self.geometry.cols) for job in self.jobs]
        cached: dict[tuple[int, RingName], list[bytes]] = {}
        stream = []
        for panel in self.panels:
            key = panel.job, panel.ring
            if key not in cached:
                cached[key] = _panel_bytes(tilings[panel.job], self.geometry, panel.ring)
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

    Without `orders` each job gets the one that is predicted fastest. `heads` are the rings' next lines when the first
    command is given: 0 after a reset. Raises ValueError, naming the argument, for a
    K above k_max and for orders whose panels the rings cannot hold.
    """
    for job in jobs:
        if job.shape[1] > geometry.k_max:
            raise ValueError(f"k: expected at most k_max = {geometry.k_max}, got {job.shape[1]}")
    orders = orders or best_orders(jobs, geometry)
    commands, panels, places, after = _commands(jobs, geometry, index, orders, heads)
    cycles = predict(commands, geometry, heads)
    return Schedule(tuple(jobs), geometry, commands, panels, places, after, cycles)


def best_orders(jobs: Sequence[Job], geometry: Geometry) -> list[Order]:
    """For each job the order that is predicted fastest; like neighbours (the heads of an attention) go together."""
    orders: list[Order] = []
    for kind, group in groupby(jobs, lambda job: (job.shape, job.mode, _output(job))):
        count = len(list(group))
        orders += [_best_order(*kind, min(count, _REPEATED), geometry)] * count
    return orders


_REPEATED = 4
"""Like neighbours that orders are compared on: enough to show what one leaves to the next."""


def _output(job: Job) -> Output:
    if job.epilogue is None:
        return Output.SUM if job.bias is None else Output.BIASED
    return Output.EIGHT if job.epilogue.bits == 8 else Output.FOUR


@dataclass(frozen=True)
class _Shape:
    """A job without its numbers: what orders are compared on."""

    shape: tuple[int, int, int]
    mode: Mode
    output: Output


@lru_cache(maxsize=4096)
def _best_order(
    shape: tuple[int, int, int], mode: Mode, output: Output, count: int, geometry: Geometry
) -> Order:
    job = _Shape(shape, mode, output)
    tried: dict[Order, int] = {}
    for order in _orders(job, geometry):
        try:
            commands, *_ = _commands([job] * count, geometry, lambda _: 0, [order] * count)
        except ValueError:
            continue
        tried[order] = predict(commands, geometry)
    if not tried:
        raise ValueError(f"k: expected panels that fit the buffers, got K = {shape[1]}")
    return min(tried, key=lambda order: tried[order])


_TRIED = 3
"""Block sizes tried for each operand: the largest that fits and the next smaller ones."""


def _orders(job: "_Shape", geometry: Geometry) -> Iterator[Order]:
    """Even blocks: as few as possible, and a few more, which leave room for the next panels."""
    m_tiles, n_tiles = _tiles(job, geometry)
    k = job.shape[1]
    for ring, name, count in ((geometry.x, RingName.X, m_tiles), (geometry.w, RingName.W, n_tiles)):
        most = max(1, ring.lines // ring.lines_for(k))
        if name is RingName.W and job.output is not Output.SUM:
            most = min(most, max(1, geometry.p.lines // _parameter_lines(job, geometry, 0)))
        blocks = -(-count // most)
        sizes = dict.fromkeys(-(-count // number) for number in range(blocks, blocks + _TRIED))
        for size in sizes:
            yield Order(name, size)


def _tiles(job: "Job | _Shape", geometry: Geometry) -> tuple[int, int]:
    m, _, n = job.shape
    return -(-m // (geometry.rows * job.mode.x_lanes)), -(-n // (geometry.cols * job.mode.w_lanes))


def _parameter_lines(job: "Job | _Shape", geometry: Geometry, n_tile: int) -> int:
    tile_n = geometry.cols * job.mode.w_lanes
    columns = min(tile_n, job.shape[2] - n_tile * tile_n)
    return geometry.p.lines_for(-(-columns // geometry.lanes))


@dataclass
class _Stay:
    """One stay of a panel: from its load, before tile `first`, to its last use by tile `last`."""

    panel: Panel
    lines: int
    first: int
    last: int
    line: int = -1


def _commands(
    jobs: Sequence["Job | _Shape"],
    geometry: Geometry,
    index: Callable[[Mode], int],
    orders: Sequence[Order],
    first: tuple[int, int, int] = (0, 0, 0),
) -> tuple[list[Command], list[Panel], list[Place], tuple[int, int, int]]:
    places, used, stays = _stays(jobs, geometry, orders)
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
                raise ValueError(f"order: expected panels that fit the {waiting[0].panel.ring.name} buffer")
            load(waiting.popleft())
        # Loads in advance, as many as wait in the queue without keeping back the tiles behind them.
        while waiting and len(ahead) < geometry.load_queue - 2 and fits(waiting[0]):
            ahead.append(waiting[0].first)
            load(waiting.popleft())
        wanted = _configure(jobs[place.job], index)
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
    jobs: Sequence["Job | _Shape"], geometry: Geometry, orders: Sequence[Order]
) -> tuple[list[Place], list[list[_Stay]], list[_Stay]]:
    """The tiles' places, the panels that each uses, and all stays in the order of their first use."""
    places: list[Place] = []
    used: list[list[_Stay]] = []
    stays: list[_Stay] = []
    for number, (job, order) in enumerate(zip(jobs, orders, strict=True)):
        m, k, n = job.shape
        tile_m, tile_n = geometry.rows * job.mode.x_lanes, geometry.cols * job.mode.w_lanes
        known: dict[tuple[RingName, int], _Stay] = {}
        has_parameters = (job.output if isinstance(job, _Shape) else _output(job)) is not Output.SUM
        for i, j, x_life, w_life in order.tiles(*_tiles(job, geometry)):
            tile = len(places)
            places.append(
                Place(
                    number, i * tile_m, j * tile_n, min(tile_m, m - i * tile_m), min(tile_n, n - j * tile_n)
                )
            )
            wanted = [
                (RingName.X, x_life, i, geometry.x.lines_for(k)),
                (RingName.W, w_life, j, geometry.w.lines_for(k)),
            ]
            if has_parameters:
                wanted.append((RingName.P, w_life, j, _parameter_lines(job, geometry, j)))
            panels = []
            for ring, life, panel, lines in wanted:
                if (ring, life) not in known:
                    known[ring, life] = _Stay(Panel(number, ring, panel), lines, tile, tile)
                    stays.append(known[ring, life])
                known[ring, life].last = tile
                panels.append(known[ring, life])
            used.append(panels)
    return places, used, stays


def _configure(job: "Job | _Shape", index: Callable[[Mode], int]) -> Configure:
    fmt = job.mode.w_format
    output = job.output if isinstance(job, _Shape) else _output(job)
    ratio, offset = (fmt.ratio, fmt.offset) if isinstance(fmt, Piecewise) else (1, 0)
    return Configure(index(job.mode), job.shape[1], int(output), ratio, offset)


def _panel_bytes(tiling: Tiling, geometry: Geometry, name: RingName) -> list[bytes]:
    """Every panel of a job for one ring, as whole lines in whole beats."""
    ring = geometry.rings[name]
    if name is RingName.P:
        panels = _parameters(tiling)
        sizes = [
            geometry.p.lines_for(
                -(-min(tiling.tile_n, tiling.job.shape[2] - j * tiling.tile_n) // geometry.lanes)
            )
            for j in range(tiling.n_tiles)
        ]
    else:
        words = tiling.x_panels() if name is RingName.X else tiling.w_panels()
        panels = list(words)
        sizes = [ring.lines_for(tiling.job.shape[1])] * len(panels)
    result = []
    for panel, lines in zip(panels, sizes, strict=True):
        content = panel.tobytes()[: lines * ring.line]
        result.append(content.ljust(ring.beats(lines) * ring.bus, b"\0"))
    return result


_PARAMETERS = np.dtype(
    {
        "names": list(PARAMETER_FIELDS),
        "formats": [
            f"<{'i' if name == 'bias' else 'u'}{width // 8}" for name, (_, width) in PARAMETER_FIELDS.items()
        ],
        "offsets": [start // 8 for start, _ in PARAMETER_FIELDS.values()],
        "itemsize": PARAMETER_BYTES,
    }
)


def _parameters(tiling: Tiling) -> list[np.ndarray]:
    """bias, mult and shift of every column: PARAMETER_BYTES each, by panel."""
    job = tiling.job
    table = np.zeros((tiling.n_tiles, tiling.tile_n), _PARAMETERS)
    table["bias"] = tiling.columns(job.bias)
    if job.epilogue is not None:
        table["mult"] = tiling.columns(job.epilogue.mult)
        table["shift"] = tiling.columns(job.epilogue.shift)
    return list(table)
