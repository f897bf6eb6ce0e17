"""Simulation of GEMM jobs on a core, cycle by cycle."""

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

from golden.arrays import save_array
from golden.schedule.job import Job
from golden.schedule.scheduler import Schedule, schedule
from hw.gateware.core.core import geometry
from sim import streams
from sim.build import Build
from sim.compilation import runner
from sim.errors import ToolError
from sim.native.compiled import Model
from sim.stalls import STREAMS, Stalls
from sim.toolchain import environment

__all__ = ["GroupResult", "Run", "simulate"]


@dataclass(frozen=True)
class GroupResult:
    """Results y of a group of jobs that ran back to back.

    `cycles` counts from the first accepted command to the last result; `seconds` is the wall-clock
    time of their simulation.
    """

    schedule: Schedule
    y: list[NDArray[np.integer]] = field(repr=False)
    cycles: int
    seconds: float

    @property
    def jobs(self) -> Sequence[Job]:
        """The jobs."""
        return self.schedule.jobs

    @property
    def tiles(self) -> int:
        """Tiles of all jobs."""
        return len(self.schedule.tiles)

    @property
    def utilization(self) -> float:
        """Fraction of the multipliers' product slots that formed useful products, 0..1."""
        return self.schedule.busy / self.cycles


@dataclass(frozen=True)
class Run:
    """Results of one simulator run; `seconds` is its wall-clock time."""

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
    """Simulate groups of jobs; each group starts when the preceding group is done.

    `stalls` are random stalls of the streams, none by default. `progress` is called repeatedly
    with the fraction done. Raises ValueError for a job whose mode is not in the build, ToolError if
    the simulator fails, or if the core refuses a command or delivers too few or too many results.
    """
    config = build.config
    schedules, heads = [], (0, 0, 0)
    for group in groups:
        schedules.append(schedule(group, geometry(config), config.index, heads=heads))
        heads = schedules[-1].heads
    start = time.monotonic()
    run = _run_compiled if build.simulator == "verilator" else _run_cocotb
    payloads, measured = run(build, schedules, stalls, progress)
    seconds = time.monotonic() - start

    results, position = [], 0
    for each, record in zip(schedules, measured, strict=True):
        count = streams.result_transfers(each)
        found = streams.values(config, payloads[position : position + count])
        position += count
        results.append(
            GroupResult(each, streams.outputs(each, found), record["cycles"], record["seconds"])
        )
    return Run(results, seconds)


_Measured = tuple[NDArray[np.uint8], list[dict[str, Any]]]
"""Result payloads of all groups, and the cycles and seconds of each group."""

_Progress = Callable[[float], None] | None


def _run_compiled(
    build: Build, schedules: Sequence[Schedule], stalls: Stalls | None, progress: _Progress
) -> _Measured:
    model = Model(build)
    transfers = [streams.result_transfers(each) for each in schedules]
    payloads, measured, done = [], [], 0
    for each, count in zip(schedules, transfers, strict=True):
        start = time.perf_counter()
        share = _share(progress, done / sum(transfers), count / sum(transfers))
        traffic = model.serve(each, stalls=stalls, progress=share)
        payloads.append(traffic.results)
        measured.append({"cycles": traffic.cycles, "seconds": time.perf_counter() - start})
        done += count
    return np.concatenate(payloads), measured


def _share(progress: _Progress, start: float, part: float) -> _Progress:
    """Progress callback for a part of the work, which reports the progress of the whole."""
    return (lambda fraction: progress(start + part * fraction)) if progress else None


def _run_cocotb(
    build: Build, schedules: Sequence[Schedule], stalls: Stalls | None, progress: _Progress
) -> _Measured:
    commands = [streams.commands(each) for each in schedules]
    loads = [streams.loads(each) for each in schedules]
    transfers = [streams.result_transfers(each) for each in schedules]
    plan = {
        "groups": [
            dict(zip(STREAMS, (len(c), len(b), len(c), r), strict=True))
            for c, b, r in zip(commands, loads, transfers, strict=True)
        ],
        "patience": streams.patience(build.config),
        "settling": streams.settling_cycles(build.config),
    }
    with tempfile.TemporaryDirectory(prefix="tilebert-") as name:
        folder = Path(name)
        save_array(folder / "commands.npy", np.concatenate(commands))
        save_array(folder / "loads.npy", np.concatenate(loads))
        save_array(folder / "pauses.npy", (stalls or Stalls()).pauses())
        (folder / "plan.json").write_text(json.dumps(plan))
        _launch(build, folder, sum(transfers), progress)
        measured = json.loads((folder / "cycles.json").read_text())
        if any(record["surplus"] for record in measured):
            raise ToolError(f"{build.simulator}: {streams.TOO_MANY}")
        payloads = np.load(folder / "results.npy")
        streams.check(schedules, np.load(folder / "statuses.npy")[:, 0], payloads, build.simulator)
        return payloads, measured


def _launch(build: Build, folder: Path, total: int, progress: _Progress) -> None:
    """Run the cocotb bench in `folder`, which keeps its log."""
    failure: list[BaseException] = []

    def run() -> None:
        try:
            results = runner(build.simulator).test(
                test_module="sim.cocotb.bench",
                hdl_toplevel=build.design.top,
                hdl_toplevel_lang="verilog",
                build_dir=build.folder,
                test_dir=folder,
                results_xml=folder / "results.xml",
                log_file=folder / "simulation.log",
                extra_env={
                    "COCOTB_LOG_LEVEL": "WARNING",
                    "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
                },
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
    """Last error in a simulation log, or `otherwise`."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    errors = [line.strip() for line in lines if "Error" in line or "error" in line]
    return errors[-1] if errors else otherwise
