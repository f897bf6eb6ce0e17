"""Encoders by the name of a mode: quantized on golden, or in float32."""

from pathlib import Path

from golden.bert.encoder import Encoder, float_encoder
from golden.bert.quantized import quantized_encoder
from golden.bert.weights import read_weights
from golden.schedule.backend import golden_backend
from golden.spec.modes import MODE_NAMES, Mode
from hw.buildspec import stated_bits
from scripts.builds import stated_mode
from scripts.models import load_model

FLOAT = "fp32"
"""Name of the model that is not quantized; the other models have the names of modes."""


def mode_or_float(name: str, exponent_bits: int | None) -> Mode | None:
    """The mode of that name, or None for fp32; raises ValueError that lists the legal names."""
    if name == FLOAT:
        return None
    (known,), _ = stated_bits([name])
    if known not in MODE_NAMES:
        raise ValueError(f"--mode: expected one of {', '.join((*MODE_NAMES, FLOAT))}, got {name!r}")
    return stated_mode(name, exponent_bits)


def load_encoder(
    chosen: Mode | None, checkpoint: Path | None = None, *, trained: bool = True
) -> Encoder:
    """The encoder in a mode, on golden; in float32 if `chosen` is None. Errors as `load_model`."""
    if chosen is None:
        return float_encoder(read_weights())
    return quantized_encoder(load_model(chosen, checkpoint, trained=trained), golden_backend)
