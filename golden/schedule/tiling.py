"""Tiling: the cut of a GEMM into tiles, and the order of the tiles."""

from collections.abc import Iterator
from dataclasses import dataclass

from golden.schedule.job import Job
from golden.spec.commands import Geometry, Output, RingName
from golden.spec.modes import Mode

__all__ = ["Order", "Tiling"]


@dataclass(frozen=True)
class Tiling:
    """Tiling of a GEMM of shape (M, K, N) on a core.

    A tile computes tile_m rows by tile_n columns of y, fewer at the edges, over the whole of K.
    Tilings compare equal for jobs that differ only in their operands' content.
    """

    shape: tuple[int, int, int]
    mode: Mode
    output: Output
    geometry: Geometry

    @classmethod
    def of(cls, job: Job, geometry: Geometry) -> "Tiling":
        """Tiling of a job."""
        output = Output.SUM if job.bias is None else Output.BIASED
        if job.epilogue is not None:
            output = Output.EIGHT if job.epilogue.bits == 8 else Output.FOUR
        return cls(job.shape, job.mode, output, geometry)

    @property
    def tile_m(self) -> int:
        """Rows of y in a full tile."""
        return self.geometry.rows * self.mode.x_lanes

    @property
    def tile_n(self) -> int:
        """Columns of y in a full tile."""
        return self.geometry.cols * self.mode.w_lanes

    @property
    def m_tiles(self) -> int:
        """Row tiles: tiles along M."""
        return -(-self.shape[0] // self.tile_m)

    @property
    def n_tiles(self) -> int:
        """Column tiles: tiles along N."""
        return -(-self.shape[2] // self.tile_n)

    @property
    def rings(self) -> tuple[RingName, ...]:
        """Rings that a tile reads; a tile of raw sums reads no parameters."""
        return tuple(RingName)[: 2 + (self.output is not Output.SUM)]

    def rows(self, m_tile: int) -> int:
        """Rows of y in row tile `m_tile`."""
        return min(self.tile_m, self.shape[0] - m_tile * self.tile_m)

    def columns(self, n_tile: int) -> int:
        """Columns of y in column tile `n_tile`."""
        return min(self.tile_n, self.shape[2] - n_tile * self.tile_n)

    def lines(self, name: RingName, n_tile: int) -> int:
        """Lines of a panel in ring `name`; for parameters, of the column tile `n_tile`."""
        ring = self.geometry.rings[name]
        if name is RingName.P:
            return ring.lines_for(-(-self.columns(n_tile) // self.geometry.results))
        return ring.lines_for(self.shape[1])


@dataclass(frozen=True)
class Order:
    """Order of a job's tiles: blocks of `block` panels of the operand `resident` stay in its ring.

    For each block all panels of the other operand are streamed. The direction alternates between
    blocks, so that the last panel of one block is already loaded for the next.
    """

    resident: RingName
    block: int

    def tiles(self, m_tiles: int, n_tiles: int) -> Iterator[tuple[int, int, int, int]]:
        """Tiles in order: (row tile, column tile, x residency, w residency).

        A residency is a number that identifies one load of a panel.
        """
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
