"""`tilebert quantize`: the real BERT's weights as codes in a checkpoint."""

from pathlib import Path
from typing import Annotated

import typer

from golden.bert import checkpoint
from scripts import options
from scripts.builds import stated_mode
from scripts.console import out, status
from scripts.files import check_place, write_bytes
from scripts.models import quantized


def quantize(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where the checkpoint goes, .safetensors.")
    ],
    mode_name: options.OneMode = "w8a8",
    exponent_bits: options.ExponentBits = None,
    clip: Annotated[bool, typer.Option(help="Clip where the squared error is least.")] = True,
) -> None:
    """Quantize all-MiniLM-L6-v2 after training, calibrated on the sentences in the repository."""
    chosen = stated_mode(mode_name, exponent_bits)
    check_place(output, "--output")
    with status("quantizing"):
        model = quantized(chosen, clip)
        content = checkpoint.to_bytes(model)
        write_bytes(output, "--output", content)
    out.say(f"{output}: {len(content) / 1e6:.1f} MB, {len(model.layers)} layers in {chosen.name}")
