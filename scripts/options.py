"""Options that commands share, and the checks of their values."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from hw.config import Config
from sim.toolchain import SimulatorName

MOST_PES = {"simulate": 4096, "map": 4096, "write": 16384}
"""PEs of the largest array, by purpose."""

_SECONDS_PER_PE = {"simulate": 0.25, "map": 0.3, "write": 0.007}
_BYTES_PER_PE = 1200
"""Measured on one core from 16 x 16 to 32 x 32 PEs: simulator build, mapping, Verilog."""

Backend = Literal["golden", "rtl"]

Modes = Annotated[
    list[str],
    typer.Option("--mode", help="Number format of x and w; several make one switchable build."),
]
OneMode = Annotated[str, typer.Option("--mode", help="Number format of x and w.")]
ModeOrFloat = Annotated[str, typer.Option("--mode", help="Number format of x and w, or fp32.")]
ExponentBits = Annotated[
    int | None,
    typer.Option(
        "--exponent-bits",
        help="Exponent bits of log2 codes: 3, 4, or 5 in wlog-a8; by default those in the mode's "
        "name, as in wlog3-a8, else 4.",
    ),
]
Bits = Annotated[
    int | None, typer.Option(help="Bits of linear codes: 5 to 8 in w8a8, 2 to 4 in w4a4.")
]
Epochs = Annotated[
    float | None,
    typer.Option(
        "--epochs",
        help="Passes of the quantized model over the data, a fraction included; by default the "
        "mode's, 1 or 3. Fine-tuning in FP32 before it always takes its own, 3 or 4.",
    ),
]
TrainLimit = Annotated[
    int | None,
    typer.Option("--limit", help="Train and evaluate on this number of examples, the first."),
]
Rows = Annotated[int, typer.Option(help="Rows of PEs.")]
Cols = Annotated[int, typer.Option(help="Columns of PEs.")]
KMax = Annotated[int, typer.Option("--k-max", help="Largest K; accumulators are sized from it.")]
NoDsp = Annotated[bool, typer.Option("--no-dsp", help="Use no multiplier blocks.")]
Bus = Annotated[
    int, typer.Option("--bus", help="Bytes a cycle on the load stream, a power of two.")
]
XWords = Annotated[
    int | None,
    typer.Option(
        "--x-words",
        help="Words of the x buffer, one for each k of a panel; by default two panels, rounded up "
        "to a power of two.",
    ),
]
WWords = Annotated[
    int | None, typer.Option("--w-words", help="Words of the w buffer; by default as for x.")
]
Results = Annotated[int, typer.Option("--results", help="Results a cycle, a power of two.")]
Panels = Annotated[
    int, typer.Option("--panels", help="Panels of columns whose parameters the core holds.")
]
JsonFile = Annotated[
    Path | None, typer.Option("--json", help="Write the result to this file as JSON.")
]
Glue = Annotated[
    Path, typer.Option("--glue", help="Folder of GLUE's files: STS-B/dev.csv or dev.tsv.")
]
GlueOrNone = Annotated[
    Path | None, typer.Option("--glue", help="As for eval; without it no correlation.")
]
Limit = Annotated[
    int | None, typer.Option("--limit", help="Use only this number of pairs, the first; 2 or more.")
]
Checkpoint = Annotated[
    Path | None,
    typer.Option(help="Quantized model; by default the trained one that comes with the mode."),
]
PostTraining = Annotated[
    bool,
    typer.Option(
        "--post-training", help="Use the model quantized after training, not the trained one."
    ),
]
SENTENCE = "A student with a small board multiplies matrices in four bits."
"""The sentence that `simulate` and `formats` run by default."""

SEED_MAX = 2**31 - 1
"""Largest seed that nextpnr, NumPy and PyTorch all accept."""


def check_seed(value: Any) -> Any:
    """Callback of an option that takes one seed, several seeds or none.

    Raises ValueError that names the option and its range.
    """
    for seed in value if isinstance(value, list) else [value]:
        if seed is not None and not 0 <= seed <= SEED_MAX:
            raise ValueError(f"--seed: expected 0..{SEED_MAX}, got {seed}")
    return value


TrainingSeed = Annotated[
    int,
    typer.Option("--seed", callback=check_seed, help="Of the order of examples and of dropout."),
]
Simulator = Annotated[SimulatorName, typer.Option("--simulator", help="What runs the Verilog.")]


def check_clock(clock: float) -> None:
    """Raise ValueError for a value that is not a frequency."""
    if not 0 < clock < 1e6:
        raise ValueError(f"--clock: expected MHz above 0, got {clock:g}")


def check_size(config: Config, purpose: str) -> None:
    """Raise ValueError for an array so large that the command would take hours or gigabytes.

    `purpose` is a key of MOST_PES.
    """
    count, most = config.rows * config.cols, MOST_PES[purpose]
    if count > most:
        hours, megabytes = count * _SECONDS_PER_PE[purpose] / 3600, count * _BYTES_PER_PE / 1e6
        raise ValueError(
            f"rows x cols: expected at most {most:,} PEs to {purpose}, got {config.rows:,} x "
            f"{config.cols:,} = "
            f"{count:,}, which take about {megabytes:,.0f} MB of Verilog and {hours:,.1f} hours"
        )


def check_training(epochs: float | None, rate: float | None, limit: int | None) -> None:
    """Raise ValueError for values with which training is impossible."""
    if epochs is not None and not 0 < epochs < 1000:
        raise ValueError(f"--epochs: expected a number above 0, got {epochs:g}")
    if rate is not None and not 0 < rate < 1:
        raise ValueError(f"--rate: expected a number between 0 and 1, got {rate:g}")
    if limit is not None and limit < 2:
        raise ValueError(f"--limit: expected 2 examples or more, got {limit}")
