"""Jobs through the simulated core: every cycle simulated, every result returned."""

import json
import os
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from cocotb_tools.runner import get_results
from numpy.typing import NDArray

from golden.job import Job
from golden.schedule import Schedule, schedule
from hw.core import geometry
from sim import streams
from sim.build import Build, runner
from sim.compiled import Model
from sim.errors import ToolError
from sim.toolchain import environment


@dataclass(frozen=True)
class Stalls:
    """Probability, in each cycle, that a stream pauses although it need not, and the seed of the draws."""

    commands: float = 0.0
    loads: float = 0.0
    status: float = 0.0
    results: float = 0.0
    seed: int = 0


@dataclass(frozen=True)
class GroupResult:
    """What came out of a group of jobs, commanded one right after another.

    `cycles` runs from the first command accepted to the last result out; they took `seconds` to simulate.
    """

    schedule: Schedule
    y: list[NDArray[np.integer]] = field(repr=False)
    cycles: int
    seconds: float

    @property
    def jobs(self) -> Sequence[Job]:
        """What was computed."""
        return self.schedule.jobs

    @property
    def tiles(self) -> int:
        """Tiles of all jobs."""
        return len(self.schedule.places)

    @property
    def utilization(self) -> float:
        """Useful products over the products that the multipliers could have formed in these cycles."""
        return self.schedule.busy / self.cycles


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
    """Run groups of jobs, one group when the one before is done, the jobs of a group without a pause between them.

    `progress` is called now and then with the fraction done. Raises ValueError for a job whose mode the build
    lacks, ToolError if the simulator fails, the core refuses a command, or delivers too few or too many results.
    """
    stalls = stalls or Stalls()
    config = build.config
    schedules, heads = [], (0, 0, 0)
    for group in groups:
        schedules.append(schedule(group, geometry(config), config.index, heads=heads))
        heads = schedules[-1].heads
    commands = [streams.commands(each) for each in schedules]
    loads = [streams.loads(each) for each in schedules]
    beats = [streams.result_beats(each) for each in schedules]
    inputs = _Inputs(commands, loads, beats, stalls, progress)
    start = time.monotonic()
    run = _run_compiled if build.simulator == "verilator" else _run_cocotb
    statuses, payloads, measured = run(build, inputs)
    seconds = time.monotonic() - start
    streams.check(schedules, statuses, payloads, build.simulator)

    results, position = [], 0
    for each, count, record in zip(schedules, beats, measured, strict=True):
        found = streams.values(config, payloads[position : position + count])
        position += count
        results.append(GroupResult(each, streams.outputs(each, found), record["cycles"], record["seconds"]))
    return Run(results, seconds)


@dataclass(frozen=True)
class _Inputs:
    """What goes into a run: commands, loads and the beats of results asked for, by group."""

    commands: Sequence[streams.Payloads]
    loads: Sequence[streams.Payloads]
    beats: Sequence[int]
    stalls: Stalls
    progress: Callable[[float], None] | None


_Measured = tuple[NDArray[np.uint8], NDArray[np.uint8], list[dict[str, Any]]]
"""Statuses, payloads of results, and cycles and seconds of each group."""


def _run_compiled(build: Build, inputs: _Inputs) -> _Measured:
    model = Model(build)
    stalls, total = inputs.stalls, sum(inputs.beats)
    statuses, payloads, measured, done = [], [], [], 0
    for c, b, r in zip(inputs.commands, inputs.loads, inputs.beats, strict=True):
        start = time.perf_counter()
        traffic = model.run(
            c,
            b,
            r,
            stalls=(stalls.commands, stalls.loads, stalls.status, stalls.results),
            seed=stalls.seed,
            progress=_share(inputs.progress, done / total, r / total),
        )
        statuses.append(traffic.statuses)
        payloads.append(traffic.results)
        measured.append({"cycles": traffic.cycles, "seconds": time.perf_counter() - start})
        done += r
        if not traffic.complete:
            break
        # A core that delivers more than it should is as wrong as one that delivers less.
        if model.offers():
            raise ToolError(f"{build.simulator}: the core delivers more than was asked for")
    return np.concatenate(statuses), np.concatenate(payloads), measured


def _share(
    progress: Callable[[float], None] | None, start: float, part: float
) -> Callable[[float], None] | None:
    """Progress of a part as that of the whole."""
    return (lambda fraction: progress(start + part * fraction)) if progress else None


def _run_cocotb(build: Build, inputs: _Inputs) -> _Measured:
    names = ("commands", "loads", "status", "results")
    plan = {
        "groups": [
            {"commands": len(c), "loads": len(b), "results": r}
            for c, b, r in zip(inputs.commands, inputs.loads, inputs.beats, strict=True)
        ],
        "seed": inputs.stalls.seed,
        "stalls": {name: getattr(inputs.stalls, name) for name in names},
        "patience": streams.patience(build.config),
        "afterwards": 4 * (build.config.rows + build.config.cols) + 64,
    }
    with tempfile.TemporaryDirectory(prefix="tilebert-") as name:
        folder = Path(name)
        np.save(folder / "commands.npy", np.concatenate(inputs.commands))
        np.save(folder / "loads.npy", np.concatenate(inputs.loads))
        (folder / "plan.json").write_text(json.dumps(plan))
        _launch(build, folder, sum(inputs.beats), inputs.progress)
        payloads = np.load(folder / "results.npy")
        statuses = np.load(folder / "statuses.npy")[:, 0]
        return statuses, payloads, json.loads((folder / "cycles.json").read_text())


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
        reason = _reason(folder / "simulation.log", str(error))
        raise ToolError(f"{build.simulator}: the simulation failed: {reason}") from error


def _reason(log: Path, otherwise: str = "no result") -> str:
    """The line of a simulation log that says what went wrong."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    errors = [line.strip() for line in lines if "Error" in line or "error" in line]
    return errors[-1] if errors else otherwise
