"""The golden backend: it computes GEMM jobs with the reference model.

Every other backend must return the same results.
"""

from collections.abc import Hashable, Sequence
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from golden.numeric.gemm import gemm, gemm_stack
from golden.numeric.requantize import requantize
from golden.schedule.job import Job
from golden.spec.modes import K_MAX

__all__ = ["golden_backend"]


def golden_backend(jobs: Sequence[Job], k_max: int = K_MAX) -> list[NDArray[np.integer]]:
    """y [M, N] of each job, in order: int64 acc + bias, or int8 codes if the job has an epilogue.

    Neighbouring jobs of equal shapes, mode and epilogue without bias (the heads of an attention)
    are computed together. Raises ValueError, naming the argument, as `gemm` and `requantize` do.
    """
    results: list[NDArray[np.integer]] = []
    for _, group in groupby(jobs, _kind):
        results += _compute(list(group), k_max)
    return results


def _kind(job: Job) -> Hashable:
    """Key of jobs that are computed as one stack; a job with a bias has a unique key."""
    if job.bias is not None:
        return id(job)
    return job.mode, job.x.shape, job.w.shape, job.x.dtype, job.w.dtype, id(job.epilogue)


def _compute(jobs: Sequence[Job], k_max: int) -> list[NDArray[np.integer]]:
    """y of each of several jobs of one kind."""
    first = jobs[0]
    if len(jobs) == 1:
        total = gemm(first.x, first.w, first.mode, k_max, first.bias)[np.newaxis]
    else:
        x, w = np.stack([job.x for job in jobs]), np.stack([job.w for job in jobs])
        total = gemm_stack(x, w, first.mode, k_max)
    if first.epilogue is None:
        return list(total)
    rows = total.reshape(-1, total.shape[-1])
    codes = requantize(rows, None, first.epilogue.mult, first.epilogue.shift, first.epilogue.bits)
    return list(codes.reshape(total.shape))
