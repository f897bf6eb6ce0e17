"""Jobs through the simulated core: every cycle simulated, every result returned."""

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from cocotb_tools.runner import get_results
from numpy.typing import NDArray

from golden.job import Job
from golden.tiling import Tiling
from sim import streams
from sim.build import Build, runner
from sim.toolchain import ToolError, environment


@dataclass(frozen=True)
class Stalls:
    """Probability, in each cycle, that a stream pauses although it need not, and the seed of the draws."""

    operands: float = 0.0
    epilogues: float = 0.0
    results: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class GroupResult:
    """What came out of a group of jobs streamed back to back.

    `cycles` runs from the first operands accepted to the last result out; they took `seconds` to simulate.
    """

    jobs: Sequence[Job]
    y: list[NDArray[np.integer]] = field(repr=False)
    tiles: int
    cycles: int
    seconds: float
    products: int
    slots: int

    @property
    def utilization(self) -> float:
        """Useful products over the products that the multipliers could have formed in these cycles."""
        return self.products / (self.slots * self.cycles)


@dataclass(frozen=True)
class Run:
    """One launch of the simulator. `seconds` is the time inside it."""

    groups: list[GroupResult]
    seconds: float

    @property
    def cycles(self) -> int:
        """Cycles of all groups."""
        return sum(group.cycles for group in self.groups)


def simulate(
    build: Build,
    groups: Sequence[Sequence[Job]],
    stalls: Stalls | None = None,
    progress: Callable[[float], None] | None = None,
) -> Run:
    """Run groups of jobs, one group after another, the jobs of a group without a pause between them.

    `progress` is called now and then with the fraction done. Raises ValueError for a job whose mode the build
    lacks, ToolError if the simulator fails or the core delivers too few or too many results.
    """
    stalls = stalls or Stalls()
    config = build.config
    tilings = [[Tiling(job, config.rows, config.cols) for job in group] for group in groups]
    flat = [tiling for group in tilings for tiling in group]
    operands = streams.concatenated(streams.beats(tiling, config) for tiling in flat)
    epilogues = streams.concatenated(streams.epilogues(tiling, config) for tiling in flat)
    counts = [sum(tiling.tiles for tiling in group) for group in tilings]
    plan = {
        "groups": [
            {
                "operands": sum(tiling.tiles * tiling.job.shape[1] for tiling in group),
                "epilogues": count,
                "results": count * config.rows,
            }
            for group, count in zip(tilings, counts, strict=True)
        ],
        "seed": stalls.seed,
        "stalls": {name: getattr(stalls, name) for name in ("operands", "epilogues", "results")},
        # Longer than the worst pause of any stream; a core that is silent for so long has lost something.
        "patience": 20_000,
        "afterwards": 4 * (config.rows + config.cols) + 64,
    }
    with tempfile.TemporaryDirectory(prefix="tilebert-") as name:
        folder = Path(name)
        np.save(folder / "operands.npy", operands)
        np.save(folder / "epilogues.npy", epilogues)
        (folder / "plan.json").write_text(json.dumps(plan))
        start = time.monotonic()
        _launch(build, folder, sum(counts) * config.rows, progress)
        seconds = time.monotonic() - start
        payloads = np.load(folder / "results.npy")
        cycles = json.loads((folder / "cycles.json").read_text())
    expected = sum(counts) * config.rows
    if len(payloads) != expected:
        raise ToolError(
            f"{build.simulator}: the core delivered {len(payloads)} rows of results, expected {expected}"
        )

    results, position = [], 0
    for group, jobs, measured in zip(tilings, groups, cycles, strict=True):
        y = []
        for tiling in group:
            rows = tiling.tiles * config.rows
            y.append(streams.outputs(tiling, config, payloads[position : position + rows]))
            position += rows
        results.append(
            GroupResult(
                jobs=jobs,
                y=y,
                tiles=sum(tiling.tiles for tiling in group),
                cycles=measured["cycles"],
                seconds=measured["seconds"],
                products=sum(tiling.products for tiling in group),
                slots=max(tiling.slots for tiling in group),
            )
        )
    return Run(results, seconds)


def _launch(build: Build, folder: Path, total: int, progress: Callable[[float], None] | None) -> None:
    """Run the bench in `folder`; its log stays there."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            results = runner(build.simulator).test(
                test_module="sim.bench",
                hdl_toplevel=build.design.top,
                hdl_toplevel_lang="verilog",
                build_dir=build.folder,
                test_dir=folder,
                results_xml=folder / "results.xml",
                log_file=folder / "simulation.log",
                extra_env={"COCOTB_LOG_LEVEL": "WARNING", "PYTHONPATH": os.environ.get("PYTHONPATH", "")},
            )
            tests, failed = get_results(results)
            if tests != 1 or failed:
                raise ToolError(_reason(folder / "simulation.log"))
        except BaseException as error:
            failure.append(error)

    with environment():
        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(0.2)
            if progress and (folder / "progress").exists():
                text = (folder / "progress").read_text()
                progress(int(text or 0) / total)
    if failure:
        error = failure[0]
        if isinstance(error, ToolError):
            raise ToolError(f"{build.simulator}: {error}")
        raise ToolError(
            f"{build.simulator}: the simulation failed: {_reason(folder / 'simulation.log')}"
        ) from error


def _reason(log: Path) -> str:
    """The line of a simulation log that says what went wrong."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    errors = [line.strip() for line in lines if "Error" in line or "error" in line]
    return errors[-1] if errors else "no result"
