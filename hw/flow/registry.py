"""Measured points of the hardware, and the records of their cells and frequency."""

from dataclasses import dataclass
from typing import Literal

from golden.spec.modes import MODE_NAMES
from hw.buildspec import BuildSpec, is_log2
from hw.flow.families import FAMILIES, PLACED
from hw.flow.floorplan import planned
from hw.flow.harness import mapped
from hw.flow.pnr import algorithms_for, place_and_route
from hw.flow.synth import synthesize

Better = Literal["less", "more"]


@dataclass(frozen=True)
class Record:
    """A measurement.

    `name` is a path that identifies it; `better` says whether less or more of it is better.
    """

    name: str
    unit: str
    value: float
    better: Better


@dataclass(frozen=True)
class Point:
    """A unit of a build for a target: its cells, or with `seed` its frequency when routed."""

    unit: str
    build: BuildSpec
    target: str = "ecp5"
    seed: int | None = None

    @property
    def path(self) -> str:
        """The prefix of its records' names."""
        return f"{self.target}/{self.unit}/{self.build}"

    @property
    def name(self) -> str:
        """The path, and the seed if there is one."""
        return self.path if self.seed is None else f"{self.path}/seed-{self.seed}"

    def made(self, record: str) -> bool:
        """Whether a record of that name is one of this point's."""
        path, _, kind = record.rpartition("/")
        if self.seed is None:
            return path == self.path and not kind.startswith("fmax")
        return record == f"{self.path}/fmax-{self.seed}"


def measure(point: Point) -> list[Record]:
    """Records of a point: cells by kind, or MHz.

    Raises as `synthesize`, `mapped` and `place_and_route`.
    """
    config = point.build.config
    if point.seed is None:
        cells = synthesize(point.unit, config, point.target).cells.record()
        return [
            Record(f"{point.path}/{kind}", "cells", float(count), "less")
            for kind, count in cells.items()
        ]
    device = PLACED[point.target]
    netlist = planned(mapped(config, point.unit, point.target), point.unit, config, device)
    algorithms = algorithms_for(point.unit, config, device)
    (placement,) = place_and_route(netlist, device, [point.seed], algorithms=algorithms)
    return [Record(f"{point.path}/fmax-{point.seed}", "MHz", placement.fmax_mhz, "more")]


def registry() -> list[Point]:
    """The points of the project's baseline.

    The PE in every mode, the other units with all modes in one build, and array and core on every
    target.
    """
    sets = (*((name,) for name in MODE_NAMES), MODE_NAMES)
    builds = [BuildSpec(modes=names) for names in sets]
    more = (("wlog-a8", 3), ("wlog-alog", 3), ("wlog-a8", 5))
    builds += [BuildSpec(modes=(name,), exponent_bits=bits) for name, bits in more]
    builds += [BuildSpec(modes=(name,), dsp=False) for name in MODE_NAMES if not is_log2(name)]
    points = [Point("pe", build) for build in builds]
    units = ("x_decoder", "w_decoder", "requantizer", "drain", "controller", "loader", "feeder")
    points += [Point(unit, BuildSpec(modes=MODE_NAMES)) for unit in units]
    small = BuildSpec(rows=2, cols=2)
    for target in FAMILIES:
        points += [Point(unit, small, target) for unit in ("array", "core")]
    return points
