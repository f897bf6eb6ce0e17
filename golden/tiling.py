"""Cutting a GEMM into tiles: the panels an array is fed with, in order, and the cycles that takes."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.job import Job


@dataclass(frozen=True)
class Tiling:
    """How a job falls on an array of rows x cols PEs.

    A tile covers rows * x_lanes rows and cols * w_lanes columns of y over the whole of K. Tiles follow each other
    down the rows first: tile i is (i % m_tiles, i // m_tiles).
    """

    job: Job
    rows: int
    cols: int

    @property
    def tile_m(self) -> int:
        """Rows of y in a tile."""
        return self.rows * self.job.mode.x_lanes

    @property
    def tile_n(self) -> int:
        """Columns of y in a tile."""
        return self.cols * self.job.mode.w_lanes

    @property
    def m_tiles(self) -> int:
        """Tiles over M."""
        return -(-self.job.shape[0] // self.tile_m)

    @property
    def n_tiles(self) -> int:
        """Tiles over N."""
        return -(-self.job.shape[2] // self.tile_n)

    @property
    def tiles(self) -> int:
        """All tiles."""
        return self.m_tiles * self.n_tiles

    @property
    def products(self) -> int:
        """Useful products: M * K * N."""
        m, k, n = self.job.shape
        return m * k * n

    @property
    def slots(self) -> int:
        """Products that the multipliers could form in one cycle."""
        return self.rows * self.cols * self.job.mode.products

    def x_panels(self) -> NDArray[np.uint8]:
        """Code bytes [m_tiles, K, rows] for the rows of each tile; rows beyond M are zero codes."""
        return _panels(self.job.x.T, self.job.mode.x_lanes, self.m_tiles, self.rows)

    def w_panels(self) -> NDArray[np.uint8]:
        """Code bytes [n_tiles, K, cols] for the columns of each tile; columns beyond N are zero codes."""
        return _panels(self.job.w, self.job.mode.w_lanes, self.n_tiles, self.cols)

    def columns(self, values: NDArray[np.integer] | None) -> NDArray[np.int64]:
        """Per-column parameters [N] as [n_tiles, tile_n], zero beyond N and where there are none."""
        padded = np.zeros(self.n_tiles * self.tile_n, np.int64)
        if values is not None:
            padded[: len(values)] = values
        return padded.reshape(self.n_tiles, self.tile_n)

    def assemble(self, tiles: NDArray[np.int64]) -> NDArray[np.int64]:
        """y [M, N] from tiles [tiles, tile_m, tile_n] in order."""
        m, _, n = self.job.shape
        grid = tiles.reshape(self.n_tiles, self.m_tiles, self.tile_m, self.tile_n)
        return grid.transpose(1, 2, 0, 3).reshape(self.m_tiles * self.tile_m, -1)[:m, :n]

    def cycles(self, interval: int) -> int:
        """Cycles from the first beat to the last one, when `interval` is the least distance of two tiles' ends."""
        k = self.job.shape[1]
        return k + (self.tiles - 1) * max(k, interval)


def _panels(codes: NDArray[np.integer], lanes: int, tiles: int, width: int) -> NDArray[np.uint8]:
    """Codes [K, count] as bytes [tiles, K, width]: `lanes` neighbouring codes to a byte, low nibble first."""
    k, count = codes.shape
    padded = np.zeros((k, tiles * width * lanes), np.uint8)
    padded[:, :count] = codes.astype(np.int16) & 0xFF
    if lanes == 2:
        low, high = padded[:, 0::2] & 0xF, padded[:, 1::2] & 0xF
        padded = low | np.left_shift(high, 4, dtype=np.uint8)
    return np.ascontiguousarray(padded.reshape(k, tiles, width).transpose(1, 0, 2))
