"""Where a device has multiplier blocks and block RAMs."""

import json
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from hw.flow.families import device_of
from hw.tools.nextpnr import invoke


@dataclass(frozen=True)
class Site:
    """A site of a block: its tile, counted from the lower left as in nextpnr, and its name."""

    x: int
    y: int
    name: str


@cache
def sites_of(device: str) -> dict[str, list[Site]]:
    """Sites of a device by type of block, lowest row first, then from the left; none if unplanned.

    nextpnr has no list of sites. So it gets a netlist with as many blocks as the device has, and
    places one on each site. Raises PlaceAndRouteError if it does not.
    """
    part = device_of(device)
    names = [
        (f"{kind}_{index}", kind) for kind, count in part.blocks.items() for index in range(count)
    ]
    if not names:
        return {}
    empty = {
        "hide_name": 0,
        "parameters": {},
        "attributes": {},
        "port_directions": {},
        "connections": {},
    }
    cells = {name: {**empty, "type": kind} for name, kind in names}
    top = {"attributes": {"top": "1"}, "ports": {}, "cells": cells, "netnames": {}}
    with tempfile.TemporaryDirectory(prefix="tilebert-") as folder:
        Path(folder, "blocks.json").write_text(json.dumps({"modules": {"blocks": top}}))
        arguments = [
            *part.arguments,
            "--json",
            "blocks.json",
            "--no-route",
            "--write",
            "placed.json",
        ]
        invoke(Path(folder), part.family, arguments)
        (placed,) = json.loads(Path(folder, "placed.json").read_text())["modules"].values()
    sites: dict[str, list[Site]] = {kind: [] for kind in part.blocks}
    for name, kind in names:
        bel = placed["cells"][name]["attributes"]["NEXTPNR_BEL"]
        x, y, _ = bel.split("/")
        sites[kind].append(Site(int(x.removeprefix("X")), int(y.removeprefix("Y")), bel))
    return {kind: sorted(each, key=lambda site: (site.y, site.x)) for kind, each in sites.items()}
