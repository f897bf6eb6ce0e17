"""nextpnr as a subprocess: how it places and routes a netlist, and when to stop it."""

import json
import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hw.tools.lifeline import tied

ROUNDS = 60
"""Iterations after which routing for a clock is given up; successful runs need 20 to 40."""

GOALS = (1.0, 0.975, 0.95)
"""What is tried to reach, one after the other, of the clock that is asked for."""


class PlaceAndRouteError(RuntimeError):
    """nextpnr refused a netlist; the message is its own error line."""


@dataclass(frozen=True)
class Algorithms:
    """nextpnr's placer and router, by default its own.

    `weight` is the weight of timing against wire length in the placer `heap`, `clock` the default
    target frequency in MHz. With `persistent`, wires are routed again until that clock or a little
    less (GOALS) is met, within ROUNDS iterations each, and without a limit if none is met.
    """

    placer: str = "heap"
    router: str = "router1"
    weight: int = 10
    clock: float = 250.0
    persistent: bool = False


def place_and_route(
    folder: Path, family: str, part: list[str], seed: int, clock: float, algorithms: Algorithms
) -> dict[str, Any]:
    """nextpnr's report of `netlist.json` in a folder, where its other files go too.

    `part` are the options that name the device. Raises PlaceAndRouteError if nextpnr fails.
    """
    common = [*part, "--seed", str(seed), "--freq", str(clock), "--timing-allow-fail"]
    # What is placed carries its settings: whoever routes it cannot choose another router.
    common += ["--placer", algorithms.placer, "--router", algorithms.router]
    place = ["--json", "netlist.json", "--placer-heap-timingweight", str(algorithms.weight)]
    route = ["--report", "report.json"]
    if algorithms.persistent:
        invoke(folder, family, [*common, *place, "--no-route", "--write", "placed.json"])
        again = [*common, "--json", "placed.json", "--no-pack", "--no-place", *route]
        for goal in GOALS:
            _aim(folder / "placed.json", goal * clock)
            if invoke(folder, family, [*again, "--tmg-ripup"], ROUNDS):
                break
        else:
            invoke(folder, family, again)
    else:
        invoke(folder, family, [*common, *place, *route])
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return report


def _aim(placed: Path, clock: float) -> None:
    """Change the target clock stored in a placed design; routing ignores its own option."""
    text, changed = re.subn(
        r'("target_freq": )"[^"]*"', rf'\1"{clock * 1e6:f}"', placed.read_text(), count=1
    )
    if not changed:
        raise PlaceAndRouteError("expected the clock in what nextpnr placed, got none")
    placed.write_text(text)


def invoke(folder: Path, family: str, arguments: list[str], rounds: int | None = None) -> bool:
    """Run a family's nextpnr in a folder; file names are relative to it.

    Returns False if its router needs more than `rounds` iterations, and stops it then. Raises
    PlaceAndRouteError if it fails.
    """
    module = f"yowasp_nextpnr_{family}"
    code = f"import {module}; sys.exit({module}.run_nextpnr_{family}(sys.argv[1:]))"
    log = folder / "nextpnr.log"
    log.unlink(missing_ok=True)
    command = [*tied(code), *arguments, "--quiet", "--log", log.name]
    with (
        open(folder / "output.log", "w+") as output,
        subprocess.Popen(command, cwd=folder, stdout=output, stderr=subprocess.STDOUT) as process,
    ):
        try:
            while process.poll() is None and not _exceeded(log, rounds):
                time.sleep(0.5)
        finally:
            process.kill()
        # A run that ended by itself is held to the same limit, so that its result is no
        # matter of speed.
        if _exceeded(log, rounds):
            return False
        if process.wait() != 0:
            output.seek(0)
            lines = [line for line in output.read().splitlines() if "ERROR" in line]
            raise PlaceAndRouteError(lines[0] if lines else f"exit status {process.returncode}")
    return True


def _exceeded(log: Path, rounds: int | None) -> bool:
    if rounds is None or not log.exists():
        return False
    done = re.findall(r"iter=(\d+) wires=", log.read_text(errors="replace"))
    return bool(done) and int(done[-1]) > rounds
