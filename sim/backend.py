"""RTL backend: it computes GEMM jobs on the simulated core and compares them with golden."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from golden.arrays import save_array
from golden.files import write_bytes
from golden.numeric.gemm import gemm
from golden.numeric.requantize import requantize
from golden.schedule.backend import golden_backend
from golden.schedule.job import Job
from golden.schedule.scheduler import schedule
from golden.spec.formats import Log2, Piecewise
from hw.gateware.core.core import geometry
from sim import streams
from sim.build import Build
from sim.compare import compare
from sim.native.compiled import Model

__all__ = ["RtlBackend", "Tally"]


@dataclass
class Tally:
    """Totals of a backend: jobs, products, compared results, mismatches and simulated cycles.

    `busy` are the cycles that the products take on an array whose multipliers are always busy.
    `first` describes the first mismatch.
    """

    jobs: int = 0
    products: int = 0
    results: int = 0
    mismatches: int = 0
    cycles: int = 0
    busy: float = 0.0
    first: str = ""

    @property
    def utilization(self) -> float:
        """Fraction of the multipliers' product slots that formed useful products, 0..1."""
        return self.busy / self.cycles if self.cycles else 0.0

    def add(self, other: "Tally") -> None:
        """Add the totals of another backend."""
        for name in ("jobs", "products", "results", "mismatches", "cycles", "busy"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.first = self.first or other.first


class RtlBackend:
    """Backend that computes jobs on one simulated core and returns the hardware's results.

    The codes, parameters, sums and options of every job are written to the folder `dump`, if given,
    as files for `tilebert gemm`. With `raw` the core delivers the sums of every job and golden
    requantizes them, so that rounding cannot hide a wrong sum. `progress` is called after each
    sequence of jobs. Raises ToolError if the core refuses a command, stalls, or delivers surplus
    results.
    """

    def __init__(
        self,
        build: Build,
        dump: Path | None = None,
        progress: Callable[[Tally], None] | None = None,
        raw: bool = False,
    ) -> None:
        self._build = build
        self._model = Model(build)
        self._heads = (0, 0, 0)
        self._dump = dump
        self._progress = progress
        self._raw = raw
        self.tally = Tally()

    def __call__(self, jobs: Sequence[Job]) -> list[NDArray[np.integer]]:
        config, tally = self._build.config, self.tally
        asked = [replace(job, epilogue=None) for job in jobs] if self._raw else jobs
        plan = schedule(asked, geometry(config), config.index, heads=self._heads)
        self._heads = plan.heads
        traffic = self._model.serve(plan)
        found = streams.outputs(plan, streams.values(config, traffic.results))
        for job, y, expected in zip(asked, found, golden_backend(asked, config.k_max), strict=True):
            comparison = compare(expected, y)
            tally.mismatches += comparison.mismatches
            tally.results += comparison.count
            if not comparison.exact and not tally.first:
                tally.first = f"layer {job.layer}, {job.name}: {comparison}"
            if self._dump is not None:
                _write(
                    self._dump / f"{tally.jobs:05d}-layer{job.layer}-{job.name.replace('/', '-')}",
                    job,
                    y,
                )
            tally.jobs += 1
        tally.products += plan.products
        tally.cycles += traffic.cycles
        tally.busy += plan.busy
        if self._progress is not None:
            self._progress(tally)
        return (
            [_as_asked(job, y) for job, y in zip(jobs, found, strict=True)] if self._raw else found
        )


def _as_asked(job: Job, sums: NDArray[np.integer]) -> NDArray[np.integer]:
    """Result of a job from its sums, which are requantized if the job has an epilogue."""
    if job.epilogue is None:
        return sums
    return requantize(sums, None, job.epilogue.mult, job.epilogue.shift, job.epilogue.bits)


def _write(folder: Path, job: Job, y: NDArray[np.integer]) -> None:
    """Write a job's x, w, y, acc and parameters as .npy files, and its options as options.json."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {"x": job.x, "w": job.w, "y": y, "acc": gemm(job.x, job.w, job.mode)}
    if job.bias is not None:
        arrays["bias"] = job.bias
    if job.epilogue is not None:
        arrays |= {"mult": job.epilogue.mult, "shift": job.epilogue.shift}
    for name, values in arrays.items():
        save_array(folder / f"{name}.npy", values)
    fmt = job.mode.w_format
    options: dict[str, str | int] = {"mode": job.mode.name}
    if isinstance(fmt, Log2):
        options["exponent-bits"] = fmt.exponent_bits
    if isinstance(fmt, Piecewise):
        options |= {"ratio": fmt.ratio, "offset": fmt.offset}
    if job.epilogue is not None:
        options["bits"] = job.epilogue.bits
    write_bytes(folder / "options.json", f"{json.dumps(options)}\n".encode())
