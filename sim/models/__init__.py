"""Behaviour of the cells that generated Verilog instantiates, as Verilog for simulation."""

import re
from pathlib import Path

__all__ = ["CELLS", "models", "needs_models"]

CELLS = {"ecp5": ("MULT18X18D", "CCU2C"), "xc7": ("DSP48E1",)}
"""Cells of the families, a file of the same name each."""


def models(family: str) -> str:
    """The models of a family's cells, one after another; empty where a family has none."""
    return "\n".join(
        Path(__file__).with_name(f"{name}.v").read_text() for name in CELLS.get(family, ())
    )


def needs_models(text: str, family: str) -> bool:
    """Whether a Verilog text instantiates cells of the family."""
    return any(re.search(rf"^  {name} ", text, re.MULTILINE) for name in CELLS.get(family, ()))
