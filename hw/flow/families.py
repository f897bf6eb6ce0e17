"""Families of parts and their devices: how Yosys maps for them and what nextpnr places on."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

TargetName = Literal["ecp5", "ice40", "xc7"]
"""Families that a design can be mapped for."""

KINDS = ("lut4", "ccu2c", "ff", "dsp", "bram")
"""Kinds of cells that are counted: look-up tables, carry cells, flip-flops, multipliers, RAMs."""


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of parts.

    `device` is the part that figures are quoted for. `synthesis` is Yosys' command that maps with
    multiplier blocks, `synthesis_no_dsp` the one that maps without. `cells` lists, by kind (KINDS),
    how the names of a family's cells begin. `tables` gives the number of look-up tables whose place
    a carry cell or RAM of each type takes. `placed` says whether nextpnr places this family on
    `device`; `multiplier` and `flip_flop` are the cells that the sign-off looks for in every PE.
    """

    device: str
    synthesis: str
    synthesis_no_dsp: str
    cells: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, int] = field(default_factory=dict)
    placed: bool = False

    @property
    def multiplier(self) -> str:
        """The type of the multiplier block."""
        return self.cells["dsp"][0]

    @property
    def flip_flop(self) -> str:
        """How the types of flip-flops begin."""
        return self.cells["ff"][0]

    def mapping(self, top: str, dsp: bool) -> str:
        """Yosys' command that maps the module `top`, with multiplier blocks or without."""
        return f"{self.synthesis if dsp else self.synthesis_no_dsp} -top {top}"


FAMILIES: dict[str, Family] = {
    "ecp5": Family(
        device="LFE5U-85F",
        synthesis="synth_ecp5",
        synthesis_no_dsp="synth_ecp5 -nodsp",
        cells={
            "lut4": ("LUT4",),
            "ccu2c": ("CCU2C",),
            "ff": ("TRELLIS_FF",),
            "dsp": ("MULT18X18D",),
            "bram": ("DP16KD", "PDPW16KD"),
        },
        # A carry cell occupies two tables; 16 x 4 bits of distributed RAM occupy three slices.
        tables={"CCU2C": 2, "TRELLIS_DPR16X4": 6},
        placed=True,
    ),
    "ice40": Family(
        device="iCE40UP5K",
        synthesis="synth_ice40 -dsp",
        synthesis_no_dsp="synth_ice40",
        cells={
            "lut4": ("SB_LUT4",),
            "ccu2c": ("SB_CARRY",),
            "ff": ("SB_DFF",),
            "dsp": ("SB_MAC16",),
            "bram": ("SB_RAM40",),
        },
        placed=True,
    ),
    "xc7": Family(
        device="xc7",
        synthesis="synth_xilinx -family xc7",
        synthesis_no_dsp="synth_xilinx -family xc7 -nodsp",
        cells={
            "lut4": ("LUT", "INV"),
            "ccu2c": ("CARRY4",),
            "ff": ("FD",),
            "dsp": ("DSP48E1",),
            "bram": ("RAMB",),
        },
    ),
}

PLACED = {name: family.device for name, family in FAMILIES.items() if family.placed}
"""Families that nextpnr places, with the device that it places on by default."""


def family_of(target: str) -> Family:
    """The family of that name; raises ValueError that lists them."""
    if target not in FAMILIES:
        raise ValueError(f"target: expected one of {', '.join(FAMILIES)}, got {target!r}")
    return FAMILIES[target]


@dataclass(frozen=True)
class Device:
    """A part: its family, nextpnr's options for size and package, and its speed grade.

    `blocks` is the number of blocks of each type that a floor plan assigns sites to
    (hw.flow.floorplan).
    """

    family: str
    option: str
    package: str
    speed: int | None = None
    blocks: Mapping[str, int] = field(default_factory=dict)

    @property
    def arguments(self) -> list[str]:
        """Options of nextpnr's command that select the device."""
        speed = [] if self.speed is None else ["--speed", str(self.speed)]
        return [self.option, "--package", self.package, *speed]


DEVICES = {
    "LFE5U-25F": Device("ecp5", "--25k", "CABGA381", 6, {"MULT18X18D": 28, "DP16KD": 56}),
    "LFE5U-45F": Device("ecp5", "--45k", "CABGA554", 6, {"MULT18X18D": 72, "DP16KD": 108}),
    "LFE5U-85F": Device("ecp5", "--85k", "CABGA756", 6, {"MULT18X18D": 156, "DP16KD": 208}),
    "iCE40UP5K": Device("ice40", "--up5k", "sg48"),
    "iCE40HX8K": Device("ice40", "--hx8k", "ct256"),
}
"""Parts that nextpnr places on: the slowest grade of each, in the package with most pins."""


def device_of(name: str) -> Device:
    """The device of that name; raises ValueError that lists them."""
    if name not in DEVICES:
        raise ValueError(f"device: expected one of {', '.join(DEVICES)}, got {name!r}")
    return DEVICES[name]
