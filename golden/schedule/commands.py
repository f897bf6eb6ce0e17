"""Command generation: tiles of a GEMM sequence become CONFIGURE, LOAD and COMPUTE commands."""

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from golden.schedule.tiling import Order, Tiling
from golden.spec.commands import Command, Compute, Configure, Geometry, Load, RingName
from golden.spec.formats import Piecewise
from golden.spec.modes import Mode

__all__ = ["CommandList", "Heads", "OutputTile", "Panel", "generate_commands"]

Heads = tuple[int, int, int]
"""Write pointer of each ring, in lines, by RingName."""


@dataclass(frozen=True)
class Panel:
    """Content of one load: panel `index` of the x, w or parameters (`ring`) of job number `job`."""

    job: int
    ring: RingName
    index: int


@dataclass(frozen=True)
class OutputTile:
    """Block of a job's y that one tile computes.

    The block is y[row : row + rows, column : column + columns].
    """

    job: int
    row: int
    column: int
    rows: int
    columns: int


@dataclass(frozen=True)
class CommandList:
    """Commands for a sequence of jobs.

    `panels` holds the panel of each LOAD and `tiles` the output tile of each COMPUTE, in command
    order. `heads` are the write pointers of the rings after the last command.
    """

    commands: list[Command]
    panels: list[Panel]
    tiles: list[OutputTile]
    heads: Heads


@dataclass
class _Residency:
    """Interval in which a panel is resident in its ring.

    The panel is loaded before tile `first` and last read by tile `last` (indices into the tiles of
    the whole sequence). It occupies `lines` lines from `line`, which is unknown until the load.
    """

    panel: Panel
    lines: int
    first: int
    last: int
    line: int | None = None


class _Rings:
    """Occupancy of the three rings: write pointers, used lines and resident panels."""

    def __init__(self, geometry: Geometry, heads: Heads) -> None:
        self._sizes = [ring.lines for ring in geometry.rings]
        self._heads = list(heads)
        self._used = [0, 0, 0]
        self._resident: list[deque[_Residency]] = [deque(), deque(), deque()]

    @property
    def heads(self) -> Heads:
        """Write pointers, in lines."""
        return self._heads[0], self._heads[1], self._heads[2]

    def fits(self, residency: _Residency) -> bool:
        """Whether the ring has enough free lines for the panel."""
        ring = residency.panel.ring
        return self._used[ring] + residency.lines <= self._sizes[ring]

    def load(self, residency: _Residency) -> Load:
        """Allocate the panel's lines and return its LOAD."""
        ring = residency.panel.ring
        residency.line = self._heads[ring]
        self._heads[ring] = (self._heads[ring] + residency.lines) % self._sizes[ring]
        self._used[ring] += residency.lines
        self._resident[ring].append(residency)
        return Load(int(ring), residency.lines)

    def free(self, ring: RingName, tile: int) -> None:
        """Free a ring's oldest panels, up to the first that a tile after `tile` still reads."""
        resident = self._resident[ring]
        while resident and resident[0].last <= tile:
            self._used[ring] -= resident.popleft().lines


def generate_commands(
    tilings: Sequence[Tiling],
    index: Callable[[Mode], int],
    orders: Sequence[Order],
    heads: Heads,
) -> CommandList:
    """Generate the commands of jobs that run one after another.

    `tilings` and `orders` hold one entry per job, all of one geometry. `index` returns a mode's
    index in the build. `heads` are the write pointers of the rings before the first command.
    Raises ValueError for an order whose blocks do not fit the rings.
    """
    if not tilings:
        return CommandList([], [], [], heads)
    geometry = tilings[0].geometry
    tiles, operands, residencies = _residencies(tilings, orders)
    rings = _Rings(geometry, heads)
    commands: list[Command] = []
    pending = deque(residencies)
    # First tile of each prefetched panel that no tile has read yet.
    prefetched: deque[int] = deque()
    settings: Configure | None = None

    for number, (tile, panels) in enumerate(zip(tiles, operands, strict=True)):
        while prefetched and prefetched[0] <= number:
            prefetched.popleft()
        while pending and pending[0].first <= number:
            if not rings.fits(pending[0]):
                raise ValueError(
                    f"order: expected panels that fit the {pending[0].panel.ring.name} buffer"
                )
            commands.append(rings.load(pending.popleft()))
        # Prefetch. A full load queue would block the COMPUTE behind it: leave two entries free.
        while pending and len(prefetched) < geometry.load_queue - 2 and rings.fits(pending[0]):
            prefetched.append(pending[0].first)
            commands.append(rings.load(pending.popleft()))
        wanted = _configure(tilings[tile.job], index)
        if wanted != settings:
            commands.append(wanted)
            settings = wanted
        commands.append(_compute(tile, number, panels, rings))
    panels_loaded = [residency.panel for residency in residencies]
    return CommandList(commands, panels_loaded, tiles, rings.heads)


def _residencies(
    tilings: Sequence[Tiling], orders: Sequence[Order]
) -> tuple[list[OutputTile], list[list[_Residency]], list[_Residency]]:
    """Output tiles, the residencies that each tile reads, and all residencies by first use."""
    tiles: list[OutputTile] = []
    operands: list[list[_Residency]] = []
    residencies: list[_Residency] = []
    for job, (tiling, order) in enumerate(zip(tilings, orders, strict=True)):
        known: dict[tuple[RingName, int], _Residency] = {}
        for i, j, x_residency, w_residency in order.tiles(tiling.m_tiles, tiling.n_tiles):
            number = len(tiles)
            row, column = i * tiling.tile_m, j * tiling.tile_n
            tiles.append(OutputTile(job, row, column, tiling.rows(i), tiling.columns(j)))
            read = []
            for ring in tiling.rings:
                key, panel = (x_residency, i) if ring is RingName.X else (w_residency, j)
                if (ring, key) not in known:
                    lines = tiling.lines(ring, j)
                    known[ring, key] = _Residency(Panel(job, ring, panel), lines, number, number)
                    residencies.append(known[ring, key])
                known[ring, key].last = number
                read.append(known[ring, key])
            operands.append(read)
    return tiles, operands, residencies


def _configure(tiling: Tiling, index: Callable[[Mode], int]) -> Configure:
    fmt = tiling.mode.w_format
    ratio, offset = (fmt.ratio, fmt.offset) if isinstance(fmt, Piecewise) else (1, 0)
    return Configure(index(tiling.mode), tiling.shape[1], int(tiling.output), ratio, offset)


def _compute(tile: OutputTile, number: int, panels: list[_Residency], rings: _Rings) -> Compute:
    """COMPUTE of tile `number`; frees the panels that no later tile reads."""
    free = 0
    lines = {RingName.P: 0}
    for residency in panels:
        assert residency.line is not None, "a panel is loaded before its first tile"
        ring = residency.panel.ring
        lines[ring] = residency.line
        if residency.last == number:
            free |= 1 << ring
            rings.free(ring, number)
    x, w, p = lines[RingName.X], lines[RingName.W], lines[RingName.P]
    return Compute(x, w, p, tile.rows, tile.columns, free)
