"""Simulation models, in Verilog, of the FPGA cells that generated Verilog instantiates."""

import re
from pathlib import Path

__all__ = ["CELLS", "models", "needs_models"]

CELLS = {"ecp5": ("MULT18X18D", "CCU2C"), "xc7": ("DSP48E1",)}
"""Modelled cells by family; each has a file of its name."""


def models(family: str) -> str:
    """Models of all cells of a family as one text, "" for a family without models."""
    return "\n".join(
        Path(__file__).with_name(f"{name}.v").read_text() for name in CELLS.get(family, ())
    )


def needs_models(text: str, family: str) -> bool:
    """Whether a Verilog text instantiates modelled cells of the family."""
    return any(re.search(rf"^  {name} ", text, re.MULTILINE) for name in CELLS.get(family, ()))
