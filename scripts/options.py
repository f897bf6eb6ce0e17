"""Options that commands share, and the records they stand for."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from golden.modes import K_MAX, MODE_NAMES, Mode, mode
from hw.config import Config
from hw.target import FAMILIES
from hw.verilog import UNITS
from sim.toolchain import SIMULATORS

ModeName = StrEnum("ModeName", {name.replace("-", "_"): name for name in MODE_NAMES})
Backend = StrEnum("Backend", {"golden": "golden", "rtl": "rtl"})
Simulator = StrEnum("Simulator", {name: name for name in SIMULATORS})
Unit = StrEnum("Unit", {name: name for name in UNITS})
Family = StrEnum("Family", {name: name for name in FAMILIES})
Part = StrEnum("Part", {name: name for name in FAMILIES if name != "generic"})

Modes = Annotated[
    list[ModeName], typer.Option("--mode", help="Number format of x and w; several make one switchable build.")
]
OneMode = Annotated[ModeName, typer.Option("--mode", help="Number format of x and w.")]
ExponentBits = Annotated[int, typer.Option(help="Exponent bits of log2 codes: 3, 4, or 5 in wlog-a8 without DSP.")]
Rows = Annotated[int, typer.Option(help="Rows of PEs.")]
Cols = Annotated[int, typer.Option(help="Columns of PEs.")]
KMax = Annotated[int, typer.Option("--k-max", help="Largest K; accumulators are sized from it.")]
NoDsp = Annotated[bool, typer.Option("--no-dsp", help="Use no multiplier blocks.")]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Write the result to this file as JSON.")]
SimulatorName = Annotated[Simulator, typer.Option("--simulator", help="What runs the Verilog.")]


def build_config(
    names: list[ModeName],
    rows: int,
    cols: int,
    *,
    exponent_bits: int = 4,
    k_max: int = K_MAX,
    dsp: bool = True,
    always: tuple[str, ...] = (),
) -> Config:
    """The build that holds the named modes and those in `always`."""
    unique = list(dict.fromkeys([*(name.value for name in names), *always]))
    modes: tuple[Mode, ...] = tuple(mode(name, exponent_bits) for name in unique)
    return Config(modes=modes, rows=rows, cols=cols, k_max=k_max, dsp=dsp)
