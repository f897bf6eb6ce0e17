"""Place and route for ECP5 and iCE40: algorithms, frequency and critical path as records."""

import re
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from hw.config import Config
from hw.flow.families import DEVICES, device_of
from hw.operands import Product
from hw.tools import nextpnr
from hw.tools.nextpnr import Algorithms, PlaceAndRouteError

DEFAULT = Algorithms()
"""The defaults of nextpnr."""


def algorithms_for(unit: str, config: Config, device: str) -> Algorithms:
    """The algorithms for a unit on a device (docs/decisions has the measurements).

    Cores on ECP5 use the placer `static`, which needs less wire than `heap`, and router2, which
    routes what router1 does not finish; it continues until the clock is met, because the first
    legal routing has a few long detours. In arrays with multiplier blocks timing has more weight,
    because the blocks are in a few rows and hold the PEs around them apart; without them that
    weight moves registers away from their adders.
    """
    weight = 40 if config.product is Product.MULTIPLIER else 10
    if unit == "core" and DEVICES[device].family == "ecp5":
        return Algorithms("static", "router2", weight, clock=156.0, persistent=True)
    return Algorithms(router="router2" if unit == "core" else "router1", weight=weight)


@dataclass(frozen=True)
class Step:
    """A signal on the critical path, with delays in ns.

    `logic_ns` is the delay of the cells that drive the signal, `routing_ns` that of the wires
    behind it. `signal` is its hierarchical name in the generated Verilog; a wire that was created
    by mapping has the name of the register or output that it leads to.
    """

    signal: str
    logic_ns: float
    routing_ns: float


@dataclass(frozen=True)
class Placement:
    """One placed and routed design.

    `fmax_mhz` is the frequency of the clock with the least slack, `clock_mhz` the target frequency.
    `path` is the critical path, from register to register. `used` is nextpnr's count of occupied
    sites by type. `fmax_mhz` leaves out paths from and to pins, and paths inside a DSP block, which
    nextpnr does not time (see hw.gateware.lib.multiplier).
    """

    device: str
    speed: int | None
    seed: int
    clock_mhz: float
    fmax_mhz: float
    path: tuple[Step, ...]
    used: dict[str, int]
    nextpnr: str
    seconds: float

    @property
    def slack_ns(self) -> float:
        """Slack in ns at the target frequency; negative if the target is missed."""
        return 1000 / self.clock_mhz - 1000 / self.fmax_mhz

    def record(self) -> dict[str, Any]:
        """For reports: everything but the seconds, rounded to 0.01 MHz and 0.01 ns."""
        steps = [
            (step.signal, round(step.logic_ns, 2), round(step.routing_ns, 2)) for step in self.path
        ]
        return {
            "device": self.device,
            "speed": self.speed,
            "seed": self.seed,
            "clock_mhz": self.clock_mhz,
            "fmax_mhz": round(self.fmax_mhz, 2),
            "worst_slack_ns": round(self.slack_ns, 2),
            "critical_path": [
                dict(zip(("signal", "logic_ns", "routing_ns"), step, strict=True)) for step in steps
            ],
            "used": self.used,
            "nextpnr": self.nextpnr,
        }


def place_and_route(
    netlist: str,
    device: str = "LFE5U-85F",
    seeds: Iterable[int] = (1, 2, 3),
    clock: float | None = None,
    algorithms: Algorithms = DEFAULT,
    progress: Callable[[int], None] | None = None,
    done: Callable[[Placement], None] | None = None,
) -> list[Placement]:
    """Place and route a netlist (Yosys' JSON, mapped for the device's family) once per seed.

    `clock` is the target frequency in MHz, by default that of the algorithms; missing it is no
    error. `progress` is called with each seed before its run, `done` with each placement. Raises
    ValueError on an unknown device, PlaceAndRouteError if nextpnr fails.
    """
    part, placements = device_of(device), []
    clock = clock or algorithms.clock
    # Relative paths only: nextpnr's sandbox has a temporary folder of its own.
    with tempfile.TemporaryDirectory(prefix="tilebert-") as folder:
        Path(folder, "netlist.json").write_text(netlist)
        for seed in seeds:
            if progress:
                progress(seed)
            start = time.monotonic()
            try:
                report = nextpnr.place_and_route(
                    Path(folder), part.family, part.arguments, seed, clock, algorithms
                )
            except PlaceAndRouteError as error:
                raise PlaceAndRouteError(f"nextpnr on {device}, seed {seed}: {error}") from None
            seconds = time.monotonic() - start
            placements.append(_placement(report, device, seed, clock, seconds))
            if done:
                done(placements[-1])
    return placements


def _placement(
    report: dict[str, Any], device: str, seed: int, clock: float, seconds: float
) -> Placement:
    if not report["fmax"]:
        raise PlaceAndRouteError("nextpnr: no path between registers, hence no frequency")
    slowest = min(report["fmax"], key=lambda name: report["fmax"][name]["achieved"])
    edge = f"posedge {slowest}"
    paths = [
        path["path"] for path in report["critical_paths"] if path["from"] == path["to"] == edge
    ]
    return Placement(
        device=device,
        speed=DEVICES[device].speed,
        seed=seed,
        clock_mhz=clock,
        fmax_mhz=report["fmax"][slowest]["achieved"],
        path=_steps(paths[0]) if paths else (),
        used={name: site["used"] for name, site in report["utilization"].items() if site["used"]},
        nextpnr=version(f"yowasp-nextpnr-{DEVICES[device].family}"),
        seconds=seconds,
    )


def _steps(path: list[dict[str, Any]]) -> tuple[Step, ...]:
    """The steps of nextpnr's path; hops of one signal and of one carry chain become one step."""
    steps: list[Step] = []
    logic = 0.0
    for hop in path:
        if hop["type"] != "routing":
            logic += hop["delay"]
            signal, routing = _signal(hop["to"]["cell"]), 0.0
            if hop["type"] != "setup":
                continue
        else:
            signal, routing = _signal(hop["net"]), hop["delay"]
        # A wire without delay leads from one cell of a carry chain to the next.
        if steps and (steps[-1].routing_ns == 0 or _base(steps[-1].signal) == _base(signal)):
            last = steps.pop()
            steps.append(Step(last.signal, last.logic_ns + logic, last.routing_ns + routing))
        else:
            steps.append(Step(signal, logic, routing))
        logic = 0.0
    return tuple(steps)


def _signal(name: str) -> str:
    """The part of a net's or cell's name that Yosys took from the source."""
    cells = "TRELLIS_FF|LUT4|CCU2C|PFUMX|L6MUX21|MULT18X18D|DP16KD"
    cells += "|SB_DFF[A-Z]*|SB_LUT4|SB_CARRY|SB_MAC16"
    return re.split(rf"_(?:{cells}|COUT|S0|S1)(?=_|$)|\$", name)[0]


def _base(signal: str) -> str:
    return re.sub(r"\[\d+\]$", "", signal)
