"""Counts the cells of a mapped netlist by unit, according to the names of the cells."""

import json
from collections import Counter, defaultdict
from typing import Any

from hw.flow.synth import Cells, count_cells


def cells_by_unit(netlist: str, unit: str, target: str = "ecp5") -> dict[str, Cells]:
    """Cells of a harness' netlist (hw.flow.harness.mapped) by part of `unit`.

    A cell belongs to the part that Yosys named it after. The parts of a core are its submodules;
    PEs and requantizers are counted separately wherever they are. `harness` are the cells around
    the unit, `shared` are cells that are named after no part. Raises ValueError for a netlist
    without a top module.
    """
    modules: dict[str, Any] = json.loads(netlist)["modules"]
    top = next((n for n, m in modules.items() if int(m["attributes"].get("top", "0"), 2)), None)
    if top is None:
        raise ValueError("netlist: expected a top module, got none")
    counts: dict[str, Counter[str]] = defaultdict(Counter)

    def walk(name: str, owner: str | None) -> None:
        for cell, fields in modules[name]["cells"].items():
            kind = fields["type"]
            # A module with kept hierarchy is one cell, named like the part that it is or is in.
            whole = kind in modules and not modules[kind]["attributes"].keys() & _BOXES
            whose = owner or _owner(f"{cell}." if whole else cell, unit)
            if whole:
                walk(kind, kind if kind in _APART else whose)
            elif not kind.startswith("$"):
                counts[whose][kind] += 1

    walk(top, None)
    return {whose: count_cells(counts[whose], target) for whose in sorted(counts)}


_APART = ("pe", "requantizer")

_BOXES = {"blackbox", "whitebox"}
"""Marks of the family's own cells."""


def _owner(cell: str, unit: str) -> str:
    """The part of the unit to which a cell of the harness' module belongs."""
    first, _, rest = cell.partition(".")
    if first != unit:
        return unit if first.startswith(f"{unit}_") and unit != "core" else "harness"
    if unit != "core":
        return unit
    part, dot, _ = rest.partition(".")
    # The name of a signal at a part's port contains the names of both parts.
    part = part.partition("__")[0]
    return "shared" if not dot or part.startswith("reset_") else part
