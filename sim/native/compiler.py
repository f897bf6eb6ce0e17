"""C++ that Verilator writes, compiled and linked by g++ directly.

Verilator's own makefile compiles a header and a dozen small files one after another; here they
are one translation unit, which takes half the time. The runtime is compiled once and kept.
"""

import os
import shutil
import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Event

from sim.cache import entry
from sim.errors import ToolError

LOG = "build.log"
"""In the build's folder: what Verilator and g++ print."""

COMPILER = ("g++", "-std=c++20", "-fno-tree-vectorize", "-fPIC", "-pthread")
"""g++ and its options.

`-fno-tree-vectorize` turns off the vectorizer, which would pack scattered registers into vectors
and unpack them again.
"""

RUNTIME = ("verilated", "verilated_dpi", "verilated_threads")
VPI_RUNTIME = (*RUNTIME, "verilated_vpi")
"""Verilator's own sources, the same in every build; with VPI for cocotb."""

_OPTIONS = ("COVERAGE", "SC", "TIMING", "TRACE", "TRACE_FST", "TRACE_SAIF", "TRACE_VCD")
"""Features of Verilator's runtime, all off."""

_LARGEST = 2 << 20
"""Bytes of C++ in a translation unit; larger designs are compiled as several at once."""

_RUN_ONCE = '#pragma GCC optimize ("O0")\n'
"""Precedes code that runs once, as a model is created: optimizing it would take longer."""


def verilate(arguments: Sequence[str], folder: Path) -> None:
    """Write the C++ of a model, class Vtop, to `folder`. Raises ToolError with the first error."""
    binary = os.path.join(os.environ["VERILATOR_ROOT"], "bin", "verilator_bin")
    _run([binary, "--cc", "--prefix", "Vtop", "-Mdir", ".", *arguments], folder)


def compile_model(
    folder: Path,
    sources: Sequence[Path],
    output: str,
    *,
    runtime: Sequence[str],
    link: Sequence[str],
    key: str,
    header: str = "",
) -> None:
    """Compile and link the C++ in `folder` and `sources` to the file `output` in the folder.

    `runtime` are the source names in RUNTIME or VPI_RUNTIME, whose objects are cached under `key`,
    a digest of the tools; `link` are g++'s options for linking; `header` is included first in every
    translation unit. Raises ToolError with the first error.
    """
    for path in sources:
        shutil.copyfile(path, folder / path.name)
    units = _units(folder, sources)
    for index, text in enumerate(units):
        (folder / f"unit{index}.cpp").write_text(text)
    include = ["-include", header] if header else []
    names = [f"unit{index}" for index in range(len(units))]
    objects = _together(
        [
            *(partial(_compile, f"{name}.cpp", ["-O1", *include], folder) for name in names),
            *(partial(_runtime, name, key) for name in runtime),
        ]
    )
    _run([*COMPILER, *(f"{path}" for path in objects), *link, "-o", output], folder)


def _together(tasks: Sequence[Callable[[], Path]]) -> list[Path]:
    """The results of tasks, as many at once as there are processors.

    After one fails no other begins: control-C kills the compilers that run, and one that began
    after it would be waited for.
    """
    failed = Event()

    def run(task: Callable[[], Path]) -> Path:
        if failed.is_set():
            raise CancelledError
        try:
            return task()
        except BaseException:
            failed.set()
            raise

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # Tasks begin in their order, so the first exception is the failed one's.
        return list(pool.map(run, tasks))


def _compile(source: str, options: Sequence[str], folder: Path) -> Path:
    """The object made of a source file."""
    _run([*COMPILER, *_flags(), *options, "-c", source], folder)
    return folder / f"{Path(source).stem}.o"


def _runtime(name: str, key: str) -> Path:
    """An object of Verilator's runtime, from the cache or made for it."""
    source = Path(os.environ["VERILATOR_ROOT"], "include", f"{name}.cpp")
    folder, _ = entry(
        "builds", runtime_key(name, key), lambda place: _compile(f"{source}", ["-O1"], place), name
    )
    return folder / f"{name}.o"


def runtime_key(name: str, key: str) -> str:
    """Cache key of an object of the runtime, made with the tools of digest `key`."""
    return f"{name}-{key}"


def _units(folder: Path, sources: Sequence[Path]) -> list[str]:
    """The texts of translation units, which include all files."""
    files = sorted(folder.glob("Vtop*.cpp"))
    units, size = ["".join(_include(path) for path in sources)], 0
    for path in files:
        if "Slow" not in path.name:
            if size + path.stat().st_size > _LARGEST and size:
                units, size = [*units, ""], 0
            units[-1] += _include(path)
            size += path.stat().st_size
    once = "".join(_include(path) for path in files if "Slow" in path.name)
    if len(units) == 1:
        return [units[0] + _RUN_ONCE + once]
    return [*units, _RUN_ONCE + once]


def _include(path: Path) -> str:
    """By name alone: the preprocessor does not accept every path."""
    return f'#include "{path.name}"\n'


def _flags() -> list[str]:
    """What Verilator's makefile would give the compiler."""
    include = Path(os.environ["VERILATOR_ROOT"], "include")
    defines = [f"-DVM_{option}=0" for option in _OPTIONS]
    return ["-I.", f"-I{include}", f"-I{include / 'vltstd'}", "-DVERILATOR=1", *defines]


def _run(command: Sequence[str], folder: Path) -> None:
    with open(folder / LOG, "a") as log:
        result = subprocess.run(command, cwd=folder, stdout=log, stderr=subprocess.STDOUT)
    if result.returncode != 0:
        what = reason(folder, f"{Path(command[0]).name} ends with {result.returncode}")
        raise ToolError(f"verilator: the build failed: {what}")


def reason(folder: Path, otherwise: str) -> str:
    """The first error in the log of a build; `otherwise` where it names none."""
    log = folder / LOG
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return next((line.strip() for line in lines if "rror" in line), otherwise)
