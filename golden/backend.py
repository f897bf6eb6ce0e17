"""The golden backend: GEMM jobs computed by the model alone, the result every other backend must equal."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from golden.gemm import gemm
from golden.job import Job
from golden.modes import K_MAX
from golden.requantize import requantize


def golden_backend(jobs: Sequence[Job], k_max: int = K_MAX) -> list[NDArray[np.integer]]:
    """y [M, N] of each job, in order: int64 acc + bias or, with an epilogue, int8 requantized.

    Raises ValueError, naming the argument, as `gemm` and `requantize` do.
    """
    return [_compute(job, k_max) for job in jobs]


def _compute(job: Job, k_max: int) -> NDArray[np.integer]:
    total = gemm(job.x, job.w, job.mode, k_max, job.bias)
    if job.epilogue is None:
        return total
    return requantize(total, None, job.epilogue.mult, job.epilogue.shift, job.epilogue.bits)
