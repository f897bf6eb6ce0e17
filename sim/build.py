"""Simulator builds of a core, one for each configuration, kept by the hash of all that goes into them."""

import hashlib
import json
import logging
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import cocotb_tools.config
from cocotb_tools.runner import Runner, get_runner

from hw.config import Config
from hw.verilog import Design, generate
from sim.toolchain import SIMULATORS, ToolError, cache_folder, environment, require


@dataclass(frozen=True)
class Build:
    """A core ready to simulate. `seconds` is what the build took, 0 when it was there."""

    config: Config
    design: Design
    simulator: str
    folder: Path
    seconds: float


def build(config: Config, simulator: str = "verilator") -> Build:
    """Generate the core's Verilog and build its simulation, or find it built.

    Raises ValueError on an unknown simulator, ToolError if a tool is missing or the build fails.
    """
    if simulator not in SIMULATORS:
        raise ValueError(f"simulator: expected one of {', '.join(SIMULATORS)}, got {simulator!r}")
    require(simulator)
    design = generate("core", config)
    folder = cache_folder() / "builds" / f"{simulator}-{_key(design, simulator)}"
    start = time.monotonic()
    if folder.exists():
        return Build(config, design, simulator, folder, 0.0)
    folder.parent.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp(prefix="build-", dir=folder.parent))
    try:
        _compile(design, simulator, scratch)
        try:
            scratch.rename(folder)
        except OSError:
            # Another process built the same meanwhile.
            if not folder.exists():
                raise
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return Build(config, design, simulator, folder, time.monotonic() - start)


def runner(simulator: str) -> Runner:
    """cocotb's runner, quiet: its output goes to log files."""
    logging.getLogger("cocotb").setLevel(logging.WARNING)
    made = get_runner(simulator)
    made.log.setLevel(logging.ERROR)
    return made


def _arguments(design: Design, simulator: str, folder: Path) -> list[str]:
    if simulator == "icarus":
        return []
    # cocotb makes every net visible, which costs minutes of compilation and a slow model; the ports are enough.
    lines = ["`verilator_config"]
    lines += [f'public_flat_rw -module "{design.top}" -var "{port.name}"' for port in design.ports]
    (folder / "ports.vlt").write_text("\n".join(lines) + "\n")
    return ["--no-public-flat-rw", str(folder / "ports.vlt"), "-O3", "-Wno-fatal", "-Wno-lint", "-Wno-style"]


def _compile(design: Design, simulator: str, folder: Path) -> None:
    source = folder / f"{design.top}.sv"
    source.write_text(design.text)
    log = folder / "build.log"
    with environment():
        try:
            runner(simulator).build(
                sources=[source],
                hdl_toplevel=design.top,
                build_dir=folder,
                build_args=_arguments(design, simulator, folder),
                timescale=("1ns", "1ps"),
                log_file=log,
            )
        except (SystemExit, Exception) as error:
            text = log.read_text(errors="replace") if log.exists() else ""
            lines = [line.strip() for line in text.splitlines() if "rror" in line]
            raise ToolError(f"{simulator}: the build failed: {lines[0] if lines else error}") from error


def _key(design: Design, simulator: str) -> str:
    """Digest of the Verilog, the tools and the places that a build refers to."""
    with environment():
        content = {
            "design": design.sha256,
            "cocotb": version("cocotb"),
            "verilator": version("verilator") if simulator == "verilator" else shutil.which("iverilog"),
            "libraries": str(cocotb_tools.config.libs_dir),
            "builder": hashlib.sha256(Path(__file__).read_bytes()).hexdigest(),
            "compiler": os.path.realpath(shutil.which("g++") or ""),
        }
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:24]
