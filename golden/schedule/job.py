"""A GEMM as data: what every backend (golden, simulated RTL, hardware behind a link) is asked to compute."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.spec.modes import Mode

__all__ = ["Backend", "Epilogue", "Job"]


@dataclass(frozen=True)
class Epilogue:
    """Requantization of one GEMM's sums: y = clamp(((acc + bias) * mult + 2^(shift-1)) >> shift, -M, M).

    mult (0..2^15-1) and shift (1..47) are int32 [N]; `bits` is 8 or 4, M = 2^(bits-1) - 1.
    """

    mult: NDArray[np.int32]
    shift: NDArray[np.int32]
    bits: int = 8


@dataclass(frozen=True)
class Job:
    """y = x @ w in codes: x [M, K] in mode.x_format, w [K, N] in mode.w_format, bias int32 [N] or None.

    With an epilogue y is int8, without it int64 acc + bias. A piece-wise w carries its ratio and
    offset in mode.w_format. `name` and `layer` only label results.
    """

    name: str
    mode: Mode
    x: NDArray[np.integer]
    w: NDArray[np.integer]
    bias: NDArray[np.int32] | None = None
    epilogue: Epilogue | None = None
    layer: int = 0

    @property
    def shape(self) -> tuple[int, int, int]:
        """(M, K, N)."""
        return self.x.shape[0], self.x.shape[1], self.w.shape[1]


Backend = Callable[[Sequence[Job]], list[NDArray[np.integer]]]
"""Computes independent jobs; returns one y [M, N] for each, in order."""
