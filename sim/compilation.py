"""Compilation of a core's Verilog by Verilator or Icarus Verilog."""

import hashlib
import json
import logging
import os
import shutil
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.config
from cocotb_tools.runner import Runner, get_runner

from hw.config import Config
from hw.gateware.array.mesh import pe_inputs
from hw.gateware.array.pe import product_stages
from hw.verilog.design import Design
from sim import sources
from sim.errors import ToolError
from sim.native.compiler import RUNTIME, VPI_RUNTIME, compile_model, reason, verilate
from sim.toolchain import environment, plain

__all__ = [
    "BUILDER",
    "EXTENSION",
    "HARNESS",
    "LIBRARY",
    "NATIVE",
    "TIMESCALE",
    "compile_core",
    "compile_key",
    "runner",
    "shared_module",
]

TIMESCALE = ("1ns", "1ps")
"""Time unit and precision of cocotb's simulations."""

LIBRARY = "libcore.so"
"""Shared library of a build for Verilator."""

NATIVE = Path(__file__).with_name("native")
"""Folder of the C++ sources."""

HARNESS, EXTENSION = "compiled.cpp", "extend.h"
"""C++ sources that are compiled together with Verilator's output."""

BUILDER = (
    Path(__file__),
    Path(__file__).with_name("build.py"),
    *(NATIVE / name for name in ("compiled.py", "compiler.py", HARNESS, EXTENSION)),
)
"""Files besides the Verilog that determine a build: its builder, its driver and the C++ sources."""


def compile_core(config: Config, design: Design, simulator: str, folder: Path) -> None:
    """Compile a core in `folder`, an empty folder.

    Raises ToolError for a failed build.
    """
    source = folder / f"{design.top}.sv"
    source.write_text(design.flat or design.text)
    if simulator == "verilator":
        _compile_library(config, design, source, folder)
        return
    if simulator == "cocotb":
        _compile_cocotb(design, source, folder)
        return
    with environment(), plain(folder) as path:
        try:
            runner(simulator).build(
                sources=[path / source.name],
                hdl_toplevel=design.top,
                build_dir=path,
                timescale=TIMESCALE,
                log_file=folder / "build.log",
            )
        except (SystemExit, RuntimeError, OSError) as error:
            raise ToolError(
                f"{simulator}: the build failed: {reason(folder, str(error))}"
            ) from error


def shared_module(config: Config, simulator: str) -> str:
    """Module that Verilator compiles to one function for all its instances, "" for none.

    Inlined copies of a large PE exceed the processor's first-level cache. Copies of a small PE fit,
    and passing ports to a function would cost more than it saves: a third of the speed in w8a8.
    """
    return "pe" if simulator == "verilator" and product_stages(config) else ""


def runner(simulator: str) -> Runner:
    """cocotb's runner, with its output in log files only."""
    logging.getLogger("cocotb").setLevel(logging.WARNING)
    made = get_runner("verilator" if simulator == "cocotb" else simulator)
    made.log.setLevel(logging.ERROR)
    return made


def _compile_cocotb(design: Design, source: Path, folder: Path) -> None:
    # Do not use cocotb's own build: it makes every net visible, so that compilation takes minutes
    # and simulation is slow.
    lines = ["`verilator_config"]
    lines += [f'public_flat_rw -module "{design.top}" -var "{port.name}"' for port in design.ports]
    (folder / "ports.vlt").write_text("\n".join(lines) + "\n")
    with environment():
        libraries, share = cocotb_tools.config.libs_dir, cocotb_tools.config.share_dir
        main = share / "lib" / "verilator" / "verilator.cpp"
        options = ["--vpi", "--timescale", "/".join(TIMESCALE)]
        verilate([*_verilator_options(design), *options, "ports.vlt", source.name], folder)
        link = [f"-Wl,-rpath,{libraries}", f"-L{libraries}", "-lcocotbvpi_verilator"]
        key = compile_key("", "cocotb")
        compile_model(folder, [main], design.top, runtime=VPI_RUNTIME, link=link, key=key)


def _compile_library(config: Config, design: Design, source: Path, folder: Path) -> None:
    shutil.copyfile(NATIVE / EXTENSION, folder / EXTENSION)
    options = ["--x-assign", "fast", "--x-initial", "fast", "--noassert"]
    # Without splitting, registers written in one block need fewer copies of their old values,
    # which saves a tenth of the array's instructions.
    options += ["-fno-split"]
    if shared := shared_module(config, "verilator"):
        # Verilator shares a function only if it reads the instance's own ports. Make these public,
        # so that they are not optimized away, and disable the data-flow graph optimization, which
        # would bypass them.
        lines = ["`verilator_config", f'no_inline -module "{shared}"']
        lines += [f'public_flat_rd -module "{shared}" -var "{name}"' for name in pe_inputs(config)]
        (folder / "shared.vlt").write_text("\n".join(lines) + "\n")
        options += ["-fno-dfg", "shared.vlt"]
    with environment():
        verilate([*_verilator_options(design), *options, source.name], folder)
        compile_model(
            folder,
            [NATIVE / HARNESS],
            LIBRARY,
            runtime=RUNTIME,
            link=["-shared"],
            key=compile_key("", "verilator"),
            header=EXTENSION,
        )


def _verilator_options(design: Design) -> list[str]:
    return ["--top-module", design.top, "-O3", "-Wno-fatal", "-Wno-lint", "-Wno-style"]


def compile_key(design: str, simulator: str) -> str:
    """Digest of a design's text and of the tools, paths and files that its build depends on."""
    with environment():
        content = {
            "design": design,
            "cocotb": version("cocotb"),
            "simulator": shutil.which("iverilog")
            if simulator == "icarus"
            else version("verilator"),
            "libraries": str(cocotb_tools.config.libs_dir),
            "builder": sources.content(*BUILDER),
            "compiler": os.path.realpath(shutil.which("g++") or ""),
        }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
