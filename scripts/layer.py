"""An encoder layer on the simulated core: its cycles, and lower bounds on these cycles."""

from dataclasses import dataclass

from golden.schedule.backend import golden_backend
from golden.schedule.shapes import ENCODERS, layer_jobs
from golden.spec.commands import Load
from golden.spec.modes import Mode
from hw.buildspec import BuildSpec
from hw.config import Config
from hw.flow.registry import Record
from scripts.console import Bar, Silent
from sim.build import Build, build
from sim.compare import compare
from sim.simulation import GroupResult, Run, simulate
from sim.streams import result_transfers


@dataclass(frozen=True)
class Bounds:
    """Lower bounds on the cycles of a group of jobs.

    `slots` are the cycles of the products if every multiplier is always busy, `bus` the cycles to
    load each panel once, and `results` the cycles to transfer the results.
    """

    slots: float
    bus: int
    results: int

    @property
    def tightest(self) -> tuple[str, float]:
        """The largest bound and its name."""
        named = {"slots": self.slots, "bus": float(self.bus), "results": float(self.results)}
        name = max(named, key=lambda key: named[key])
        return name, named[name]


@dataclass(frozen=True)
class Timing:
    """The simulated GEMMs of a layer.

    `groups` holds the run of each GEMM by itself and, under `layer`, that of all GEMMs in sequence.
    `wrong` holds the number of wrong results of each of these runs.
    """

    build: Build
    run: Run
    groups: dict[str, GroupResult]
    wrong: dict[str, int]
    results: int

    @property
    def exact(self) -> bool:
        """Whether every result equals golden's."""
        return not any(self.wrong.values())


def time_layer(
    config: Config,
    model: str,
    tokens: int,
    chosen: Mode,
    bar: Bar,
) -> Timing:
    """Simulate a layer of a model (a key of golden.schedule.shapes.ENCODERS) on random codes.

    Linear GEMMs run in the mode `chosen`, attention GEMMs in w8a8; the build must contain both.
    """
    jobs = layer_jobs(ENCODERS[model], tokens, chosen)
    groups = {**jobs, "layer": [job for group in jobs.values() for job in group]}
    bar.stage("golden")
    expected = {name: golden_backend(group, config.k_max) for name, group in jobs.items()}
    expected["layer"] = [y for name in jobs for y in expected[name]]
    bar.stage(f"building {config.rows} x {config.cols}")
    built = build(config)
    bar.stage("simulating")
    run = simulate(built, list(groups.values()), progress=bar)
    named = dict(zip(groups, run.groups, strict=True))
    wrong = {
        name: sum(
            compare(y, got).mismatches for y, got in zip(expected[name], group.y, strict=True)
        )
        for name, group in named.items()
    }
    return Timing(built, run, named, wrong, sum(y.size for each in expected.values() for y in each))


def bounds(group: GroupResult) -> Bounds:
    """The lower bounds on the cycles of a group."""
    schedule = group.schedule
    once: dict[object, int] = {}
    loads = (command for command in schedule.commands if isinstance(command, Load))
    for panel, load in zip(schedule.panels, loads, strict=True):
        once[panel] = schedule.geometry.rings[load.ring].transfers(load.lines)
    return Bounds(schedule.busy, sum(once.values()), result_transfers(schedule))


@dataclass(frozen=True)
class LayerPoint:
    """Measurement of an encoder layer with 128 tokens on a build of one mode and w8a8.

    The records are the cycles and the utilization of the multipliers.
    """

    model: str
    build: BuildSpec

    tokens = 128

    @property
    def name(self) -> str:
        """Prefix of the names of the records; it identifies the measurement."""
        return f"bench/{self.model}-{self.tokens}/{self.build}"

    path = name

    def made(self, record: str) -> bool:
        """Whether the record with this name belongs to this measurement."""
        return record.rpartition("/")[0] == self.path

    def measure(self) -> list[Record]:
        """Simulate the layer and return the records.

        Raises ValueError if a result differs from golden's.
        """
        timing = time_layer(
            self.build.including("w8a8").config,
            self.model,
            self.tokens,
            self.build.first_mode,
            Silent(),
        )
        if not timing.exact:
            raise ValueError(
                f"{self.path}: {sum(timing.wrong.values())} results differ from golden's"
            )
        layer = timing.groups["layer"]
        return [
            Record(f"{self.path}/cycles", "cycles", float(layer.cycles), "less"),
            Record(f"{self.path}/busy", "percent", 100 * layer.utilization, "more"),
        ]
