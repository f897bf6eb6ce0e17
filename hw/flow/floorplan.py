"""A floor plan: a site for each multiplier block and block RAM of an array or a core on ECP5.

nextpnr's placer `static` finds good positions for blocks, and then moves them to sites one by one,
in random order, which makes wires much longer (docs/decisions/0027). This floor plan matches all
blocks with sites at once.
"""

import copy
import json
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from math import sqrt
from typing import Any

import numpy as np
from scipy.optimize import linear_sum_assignment

from hw.config import Config
from hw.flow.sites import Site, sites_of
from hw.operands import Product

Modules = dict[str, dict[str, Any]]

DENSITY = 0.7
"""Share of the flip-flops and look-up tables in a PE's rectangle of the grid that the PE uses."""

TILE = 8
"""Flip-flops in a tile of logic, which has as many look-up tables."""

Sites = Mapping[str, list[Site]]
"""Sites of a device by type of block."""


def planned(netlist: str, unit: str, config: Config, device: str) -> str:
    """The netlist with a floor plan, for an array or a core on a device whose blocks need one."""
    sites = sites_of(device) if unit in ("array", "core") else {}
    return floorplanned(netlist, config, sites) if sites else netlist


def floorplanned(netlist: str, config: Config, sites: Sites) -> str:
    """A mapped netlist (Yosys' JSON, from `hw.flow.harness.mapped`) with a site for each block.

    PEs form a grid with row 0 at the top. Each PE gets the area that its flip-flops or look-up
    tables need. The distance of two rows is limited, so that all rows have multipliers near them.
    Operand buffers are at the edges that they feed. The blocks that process the sums are above row
    0, where sums leave the array. Each block gets a site of its own; the sum of the distances
    between blocks and their wanted positions is minimal. A netlist with more blocks than the device
    has sites is returned unchanged, and nextpnr refuses it.
    """
    design = json.loads(netlist)
    modules: Modules = design["modules"]
    top = next(
        name for name, module in modules.items() if int(module["attributes"].get("top", "0"), 2)
    )
    _unshare(modules, top, frozenset(sites))
    blocks: dict[str, list[tuple[str, dict[str, Any]]]] = {kind: [] for kind in sites}
    for path, cell in _cells(modules, top, frozenset(sites)):
        blocks[cell["type"]].append((path, cell))
    plan = _Plan(
        config, modules["pe"], sites, [path for cells in blocks.values() for path, _ in cells]
    )
    for kind, cells in blocks.items():
        if len(cells) > len(sites[kind]):
            return netlist
        wanted = np.array([plan.position(path) for path, _ in cells]).reshape(len(cells), 2)
        there = np.array([(site.x, site.y) for site in sites[kind]])
        distance = np.abs(wanted[:, None] - there[None]).sum(axis=2)
        for block, site in zip(*linear_sum_assignment(distance), strict=True):
            cells[block][1]["attributes"]["BEL"] = sites[kind][site].name
    return json.dumps(design)


def _cells(
    modules: Modules, name: str, kinds: frozenset[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Path and record of each block below a module."""
    for instance, cell in modules[name]["cells"].items():
        if cell["type"] in kinds:
            yield instance, cell
        elif cell["type"] in modules:
            for path, block in _cells(modules, cell["type"], kinds):
                yield f"{instance}.{path}", block


def _unshare(modules: Modules, name: str, kinds: frozenset[str]) -> bool:
    """Give each instance that contains blocks its own copy of the module it instantiates.

    Returns whether module `name` contains any blocks.
    """
    holds = False
    for instance, cell in modules[name]["cells"].items():
        inner = cell["type"]
        if inner in kinds:
            holds = True
        elif inner in modules and modules[inner]["cells"]:
            own = f"{name}.{instance}"
            modules[own] = {**modules[inner], "cells": copy.deepcopy(modules[inner]["cells"])}
            modules[own]["attributes"] = {
                key: value for key, value in modules[inner]["attributes"].items() if key != "top"
            }
            if _unshare(modules, own, kinds):
                cell["type"] = own
                holds = True
            else:
                del modules[own]
    return holds


def _area(pe: dict[str, Any]) -> int:
    """The number of a PE's flip-flops or of its look-up tables, whichever is larger."""
    count = Counter(cell["type"] for cell in pe["cells"].values())
    return max(count["TRELLIS_FF"], count["LUT4"] + 2 * count["CCU2C"])


class _Plan:
    """Where blocks should be, in tiles."""

    def __init__(self, config: Config, pe: dict[str, Any], sites: Sites, paths: list[str]):
        self._config = config
        self._width = 1 + max(site.x for each in sites.values() for site in each)
        bands = sorted({site.y for site in sites["MULT18X18D"]})
        area = _area(pe) / TILE / DENSITY
        self._dy = sqrt(area)
        if config.product is Product.MULTIPLIER:
            # Several rows of PEs use one row of multipliers. Together they are at most as high as
            # the distance to the next row of multipliers.
            pitch = bands[1] - bands[0] if len(bands) > 1 else 2 * bands[0]
            self._dy = min(self._dy, pitch / -(-config.rows // len(bands)))
        self._dx = min(area / self._dy, self._width / config.cols)
        self._rules: list[tuple[str, Callable[..., tuple[float, float]]]] = [
            (r"pe_(\d+)_(\d+)\b", lambda row, column: (self._x(column), self._y(row))),
            (
                r"x_ring\.bank_(\d+)\b",
                lambda bank: (self._left, self._y(self._of(bank, "x", config.rows))),
            ),
            (
                r"w_ring\.bank_(\d+)\b",
                lambda bank: (self._x(self._of(bank, "w", config.cols)), self._top),
            ),
            (r"column_(\d+)\b", lambda column: (self._x(column), self._top)),
            (
                r"lane_(\d+)\b",
                lambda lane: (
                    self._x((lane + 0.5) / config.results * config.cols - 0.5),
                    self._top,
                ),
            ),
        ]
        self._banks = {
            ring: len({m[0] for path in paths if (m := re.search(rf"{ring}_ring\.bank_\d+", path))})
            for ring in "xw"
        }

    def position(self, path: str) -> tuple[float, float]:
        """The position of a block by its path; above the middle of the array if no rule matches."""
        for pattern, rule in self._rules:
            if match := re.search(pattern, path):
                return rule(*map(int, match.groups()))
        return self._width / 2, self._top

    def _of(self, bank: int, ring: str, count: int) -> float:
        """The middle of the rows or columns that a bank feeds."""
        return (bank + 0.5) / self._banks[ring] * count - 0.5

    def _x(self, column: float) -> float:
        return self._width / 2 + (column + 0.5 - self._config.cols / 2) * self._dx

    def _y(self, row: float) -> float:
        return (self._config.rows - row - 0.5) * self._dy

    @property
    def _left(self) -> float:
        return self._x(-0.5)

    @property
    def _top(self) -> float:
        return self._y(-0.5)
