"""`tilebert synth`: what a build costs on a part."""

from typing import Annotated

import typer
from rich.table import Table

from golden.modes import K_MAX
from hw.synth import PARTS, TargetName, synthesize
from hw.verilog import UnitName
from scripts import options
from scripts.console import err, out
from scripts.files import write_json


def synth(
    mode_names: options.Modes = ["w8a8"],  # noqa: B006 - Typer copies it
    unit: Annotated[UnitName, typer.Option(help="What to map.")] = "array",
    rows: options.Rows = 8,
    cols: options.Cols = 8,
    target: Annotated[TargetName, typer.Option(help="Family of parts.")] = "ecp5",
    exponent_bits: options.ExponentBits = 4,
    k_max: options.KMax = K_MAX,
    no_dsp: options.NoDsp = False,
    json_file: options.JsonFile = None,
) -> None:
    """Map a unit with Yosys and count its cells, in all and per PE.

    In `array` the edge decoders, skew and drain are counted, and a PE carries its share of them.
    """
    config = options.build_config(
        mode_names, rows, cols, exponent_bits=exponent_bits, k_max=k_max, dsp=not no_dsp
    )
    with err.status(f"mapping {unit} for {target}"):
        result = synthesize(unit, config, target)
    pes = 1 if unit == "pe" else rows * cols
    share = result.cells.divided(pes)
    device = PARTS[target].device
    write_json(
        json_file,
        {
            "unit": unit,
            "modes": [mode.name for mode in config.modes],
            "rows": rows,
            "cols": cols,
            "target": target,
            "device": device,
            "cells": result.cells.record(),
            "per_pe": share.record(),
            "raw": result.cells.raw,
            "k_max": k_max,
            "dsp": config.dsp,
            "verilog_sha256": result.design.sha256,
            "yosys": result.yosys,
        },
    )
    modes = ", ".join(mode.name for mode in config.modes)
    title = f"{unit} {rows} x {cols}, {modes}, on {device} (Yosys {result.yosys})"
    out.print(title)
    table = Table()
    table.add_column("cells")
    table.add_column("total", justify="right")
    table.add_column("per PE", justify="right")
    totals, shares = result.cells.record(), share.record()
    for name, total in totals.items():
        table.add_row(name, f"{total:,}", f"{shares[name]:.1f}")
    out.print(table)
