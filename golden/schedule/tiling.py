"""Cutting a GEMM into tiles: how many, how large, and in which order."""

from collections.abc import Iterator
from dataclasses import dataclass

from golden.schedule.job import Job
from golden.spec.commands import Geometry, Output, RingName
from golden.spec.modes import Mode

__all__ = ["Order", "Tiling"]


@dataclass(frozen=True)
class Tiling:
    """How a GEMM of shape (M, K, N) falls on a core: a job without its numbers.

    A tile covers tile_m rows and tile_n columns of y, or what is left of them, over the whole of K.
    """

    shape: tuple[int, int, int]
    mode: Mode
    output: Output
    geometry: Geometry

    @classmethod
    def of(cls, job: Job, geometry: Geometry) -> "Tiling":
        """That of a job."""
        output = Output.SUM if job.bias is None else Output.BIASED
        if job.epilogue is not None:
            output = Output.EIGHT if job.epilogue.bits == 8 else Output.FOUR
        return cls(job.shape, job.mode, output, geometry)

    @property
    def tile_m(self) -> int:
        """Rows of y in a whole tile."""
        return self.geometry.rows * self.mode.x_lanes

    @property
    def tile_n(self) -> int:
        """Columns of y in a whole tile."""
        return self.geometry.cols * self.mode.w_lanes

    @property
    def m_tiles(self) -> int:
        """Tiles over M."""
        return -(-self.shape[0] // self.tile_m)

    @property
    def n_tiles(self) -> int:
        """Tiles over N."""
        return -(-self.shape[2] // self.tile_n)

    @property
    def rings(self) -> tuple[RingName, ...]:
        """The buffers that a tile reads; sums alone need no parameters."""
        return tuple(RingName)[: 2 + (self.output is not Output.SUM)]

    def rows(self, m_tile: int) -> int:
        """Rows of y in the tiles of one row tile."""
        return min(self.tile_m, self.shape[0] - m_tile * self.tile_m)

    def columns(self, n_tile: int) -> int:
        """Columns of y in the tiles of one column tile."""
        return min(self.tile_n, self.shape[2] - n_tile * self.tile_n)

    def lines(self, name: RingName, n_tile: int) -> int:
        """Lines of a panel in its ring; parameters are as many as the column tile has columns."""
        ring = self.geometry.rings[name]
        if name is RingName.P:
            return ring.lines_for(-(-self.columns(n_tile) // self.geometry.results))
        return ring.lines_for(self.shape[1])


@dataclass(frozen=True)
class Order:
    """The order of a job's tiles: `block` panels of one operand stay while those of the other pass by.

    `resident` says whose. After each block the others pass in the opposite direction, so that the
    last one, still there, is the next block's first.
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
