"""GEMM jobs: the work that a backend (golden, simulated RTL or hardware) computes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.spec.modes import Mode

__all__ = ["Backend", "Epilogue", "Job"]


@dataclass(frozen=True)
class Epilogue:
    """Requantization of a GEMM's sums to codes.

    y = clamp(((acc + bias) * mult + 2^(shift-1)) >> shift, -M, M), with M = 2^(bits-1) - 1. `mult`
    (0..2^15-1) and `shift` (1..47) are int32 [N]; `bits` is 8 or 4.
    """

    mult: NDArray[np.int32]
    shift: NDArray[np.int32]
    bits: int = 8


@dataclass(frozen=True)
class Job:
    """GEMM of codes: y = x @ w + bias, x [M, K] in mode.x_format, w [K, N] in mode.w_format.

    `bias` is int32 [N], or None for zeros. y is int8 [M, N] with an epilogue and int64 without one.
    For piece-wise w, mode.w_format contains its ratio and offset. `name` and `layer` label results
    and do not affect them.
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
"""Function that computes independent jobs and returns one y [M, N] for each, in order."""
