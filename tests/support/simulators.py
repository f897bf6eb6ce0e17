"""Plain Verilog test benches on Verilator and, if installed, Icarus Verilog."""

import atexit
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.metadata import version
from pathlib import Path

import pytest

from sim.cache import cache_folder
from sim.toolchain import environment

ICARUS = pytest.param("icarus", marks=pytest.mark.icarus)

SIMULATORS = ["verilator", ICARUS]
"""Simulators for parametrize; conftest.py deselects Icarus, by its mark, if it is missing."""

COMPILER = ["g++", "-std=c++20", "-fcoroutines", "-pthread", "-O0"]
"""C++ compiler: for a small bench, optimization costs more than it saves."""

RUNTIME = ("verilated", "verilated_threads", "verilated_timing")

VERILATE = [
    *(
        "--cc",
        "--exe",
        "--main",
        "--timing",
        "--top-module",
        "bench",
        "--prefix",
        "Vtop",
        "-Mdir",
        ".",
    ),
    # Uninitialised registers start as +verilator+rand+reset tells the program.
    *("--x-assign", "unique", "--x-initial", "unique", "-fno-inline"),
    "-Wno-fatal",
    # Verilator has no x: an unconnected input would be 0.
    *("-Werror-PINMISSING", "-Wwarn-PINCONNECTEMPTY", "-Werror-PINCONNECTEMPTY"),
]


class SimulationError(RuntimeError):
    """The compiler or the simulation failed; the message is its output."""


def run(
    sources: Mapping[str, str], simulator: str, folder: Path, arguments: Sequence[str] = ()
) -> str:
    """Compile `sources` (texts by file name), run module `bench` in `folder`, return its output.

    The folder contains the files that the bench reads and writes. Sources whose names end in .vlt
    are Verilator's waivers. `arguments` go to the program, +name=value for the bench's
    $value$plusargs. The program that Verilator makes is cached by the hash of the sources. Raises
    SimulationError for sources that do not compile, and on $fatal.
    """
    if simulator == "icarus":
        with tempfile.TemporaryDirectory() as build:
            verilog = _written(
                {name: text for name, text in sources.items() if name[-4:] != ".vlt"}, build
            )
            program = Path(build, "bench.vvp")
            _execute(
                ["iverilog", "-g2012", "-s", "bench", "-o", str(program), *verilog], Path(build)
            )
            return _execute(["vvp", "-n", str(program), *arguments], folder)
    return _execute([str(_verilated(sources)), *arguments], folder)


def _written(sources: Mapping[str, str], folder: str) -> list[str]:
    for name, text in sources.items():
        Path(folder, name).write_text(text)
    return list(sources)


def _verilated(sources: Mapping[str, str]) -> Path:
    """Compiled program of a bench."""
    content = [
        dict(sources),
        VERILATE,
        COMPILER,
        version("verilator"),
        os.path.realpath(_compiler()),
    ]
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:24]
    program = cache_folder() / "benches" / key
    if program.exists():
        return program
    with environment(), tempfile.TemporaryDirectory(prefix="tilebert-") as build:
        binary = os.path.join(os.environ["VERILATOR_ROOT"], "bin", "verilator_bin")
        _execute([binary, *VERILATE, *_written(sources, build)], Path(build))
        header, objects = _runtime()
        parts = "\n".join(
            f'#include "{file.name}"' for file in sorted(Path(build).glob("Vtop*.cpp"))
        )
        Path(build, "all.cpp").write_text(parts)
        flags = ["-I.", *_flags(), "-include", str(header)]
        _execute(
            [*COMPILER, *flags, "all.cpp", *map(str, objects), "-s", "-o", "bench"], Path(build)
        )
        # Copy to a temporary name and rename, so that other processes see a complete file.
        program.parent.mkdir(parents=True, exist_ok=True)
        beside = program.with_name(f".{key}-{os.getpid()}")
        shutil.copy(Path(build, "bench"), beside)
        os.replace(beside, program)
    return program


def _compiler() -> str:
    return shutil.which(COMPILER[0]) or COMPILER[0]


def _flags() -> list[str]:
    """Compiler flags of Verilator's own makefile."""
    include = Path(os.environ["VERILATOR_ROOT"], "include")
    options = (
        "COVERAGE=0",
        "SC=0",
        "TIMING=1",
        "TRACE=0",
        "TRACE_FST=0",
        "TRACE_VCD=0",
        "TRACE_SAIF=0",
    )
    defines = [f"-DVM_{option}" for option in options]
    return [
        f"-I{include}",
        f"-I{include / 'vltstd'}",
        "-DVERILATOR=1",
        "-DVL_TIME_CONTEXT",
        *defines,
    ]


@cache
def _runtime() -> tuple[Path, list[Path]]:
    """Verilator's precompiled headers and runtime objects, made once per process.

    The compiled header has 90 MB and is removed with the process.
    """
    folder = Path(tempfile.mkdtemp(prefix="tilebert-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    header = folder / "all.h"
    header.write_text('#include "verilated.h"\n#include "verilated_timing.h"\n')
    _execute([*COMPILER, *_flags(), "-x", "c++-header", str(header), "-o", f"{header}.gch"], folder)
    include = Path(os.environ["VERILATOR_ROOT"], "include")
    sources = [str(include / f"{name}.cpp") for name in RUNTIME]
    _execute([*COMPILER, *_flags(), "-include", str(header), "-c", *sources], folder)
    return header, [folder / f"{name}.o" for name in RUNTIME]


def _execute(command: Sequence[str], folder: Path) -> str:
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    output = result.stdout + result.stderr
    if result.returncode != 0:
        raise SimulationError(output)
    return output
