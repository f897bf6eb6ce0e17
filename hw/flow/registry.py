"""What is measured of the hardware: units by sets of modes and targets, and records of what they cost."""

from dataclasses import dataclass
from typing import Literal

from golden.spec.modes import K_MAX, MODE_NAMES, mode
from hw.config import Config
from hw.flow.families import PLACED
from hw.flow.floorplan import planned
from hw.flow.harness import mapped
from hw.flow.pnr import algorithms_for, place_and_route
from hw.flow.synth import synthesize

Better = Literal["less", "more"]


@dataclass(frozen=True)
class Record:
    """A measurement: `name` says of what, as a path; `better` whether less of it is better or more."""

    name: str
    unit: str
    value: float
    better: Better


@dataclass(frozen=True)
class Point:
    """A unit of a build for a target: its cells, or with `seed` its frequency after place and route.

    Raises ValueError for modes or sizes that no build has.
    """

    unit: str
    modes: tuple[str, ...]
    exponent_bits: int = 4
    rows: int = 8
    cols: int = 8
    k_max: int = K_MAX
    target: str = "ecp5"
    dsp: bool = True
    seed: int | None = None

    def __post_init__(self) -> None:
        # What no build can be is told before anything runs.
        _ = self.config

    @property
    def config(self) -> Config:
        """The build."""
        modes = tuple(mode(name, self.exponent_bits) for name in self.modes)
        return Config(modes=modes, rows=self.rows, cols=self.cols, k_max=self.k_max, dsp=self.dsp)

    @property
    def build(self) -> str:
        """Its name without the seed."""
        names = "all" if set(self.modes) == set(MODE_NAMES) else "+".join(self.modes)
        log2 = f"-{self.exponent_bits}" if "log" in "".join(self.modes) or names == "all" else ""
        parts = [self.target, self.unit, f"{self.rows}x{self.cols}", f"{names}{log2}"]
        parts += [f"k{self.k_max}"] if self.k_max != K_MAX else []
        parts += [] if self.dsp else ["no-dsp"]
        return "/".join(parts)

    @property
    def name(self) -> str:
        """The build, and the seed if there is one."""
        return self.build if self.seed is None else f"{self.build}/seed-{self.seed}"

    def made(self, record: str) -> bool:
        """Whether a record of that name is one of this point's."""
        build, _, kind = record.rpartition("/")
        if self.seed is None:
            return build == self.build and not kind.startswith("fmax")
        return record == f"{self.build}/fmax-{self.seed}"


def parse_modes(text: str) -> tuple[str, ...]:
    """Modes from their names joined by +, or `all`; raises ValueError as `mode` does."""
    names = MODE_NAMES if text == "all" else tuple(text.split("+"))
    for name in names:
        mode(name)
    return names


def measure(point: Point) -> list[Record]:
    """Records of a point: cells by kind, or MHz.

    Raises as `synthesize`, `mapped` and `place_and_route`.
    """
    config = point.config
    if point.seed is None:
        cells = synthesize(point.unit, config, point.target).cells.record()
        return [
            Record(f"{point.build}/{kind}", "cells", float(count), "less")
            for kind, count in cells.items()
        ]
    device = PLACED[point.target]
    netlist = planned(mapped(config, point.unit, point.target), point.unit, config, device)
    algorithms = algorithms_for(point.unit, config, device)
    (placement,) = place_and_route(netlist, device, [point.seed], algorithms=algorithms)
    return [Record(f"{point.build}/fmax-{point.seed}", "MHz", placement.fmax_mhz, "more")]


def registry() -> list[Point]:
    """What a baseline is kept of: the PE in every mode, the other units in all, everything once on every target."""
    points = [Point("pe", names) for names in (*((name,) for name in MODE_NAMES), MODE_NAMES)]
    more = (("wlog-a8", 3), ("wlog-alog", 3), ("wlog-a8", 5))
    points += [Point("pe", (name,), bits) for name, bits in more]
    points += [
        Point("pe", (name,), dsp=False) for name in MODE_NAMES if not name.startswith("wlog")
    ]
    units = ("x_decoder", "w_decoder", "requantizer", "drain", "controller", "loader", "feeder")
    points += [Point(unit, MODE_NAMES) for unit in units]
    for target in ("ecp5", "ice40", "xc7"):
        points += [
            Point(unit, ("w8a8",), rows=2, cols=2, target=target) for unit in ("array", "core")
        ]
    return points
