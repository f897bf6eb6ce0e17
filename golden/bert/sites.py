"""Sites: the points of an encoder layer where activations are quantized."""

from dataclasses import dataclass

from golden.spec.formats import Format, Linear
from golden.spec.modes import Mode

__all__ = ["INPUT_SITES", "SITES", "Activation", "input_site", "requantizable", "site_format"]

SITES = ("hidden", "query", "key", "value", "probabilities", "context", "output", "ffn1", "ffn2")
"""Quantized activations of a layer.

`hidden` is the x of the query, key and value layers, followed by these layers' results.
`probabilities` is attention's P and `context` its result P V. `output`, `ffn1` and `ffn2` are the x
of the layers of these names.
"""

INPUT_SITES = ("hidden", "output", "ffn1", "ffn2")
"""Sites in the mode's x format. The other sites are operands of attention GEMMs, always in w8a8."""


@dataclass(frozen=True)
class Activation:
    """Format and scale of the activations at one site; real value = decoded value / scale."""

    format: Format
    scale: float


def site_format(mode: Mode, site: str) -> Format:
    """Format of the activations at a site: the mode's x format for INPUT_SITES, else linear 8."""
    return mode.x_format if site in INPUT_SITES else Linear(8)


def input_site(name: str) -> str:
    """Site (SITES) of the x of linear layer `name`."""
    return name if name in INPUT_SITES else "hidden"


def requantizable(fmt: Format) -> bool:
    """Whether the hardware's requantizer produces codes of `fmt`; it clamps to 8 or 4 bits."""
    return isinstance(fmt, Linear) and fmt.bits in (4, 8)
