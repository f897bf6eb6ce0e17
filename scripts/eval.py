"""`tilebert eval`: how well a model's similarities agree with people's, on a benchmark's own sentences."""

import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from golden.backend import golden_backend
from golden.encoder import Encoder, float_encoder
from golden.evaluation import Pair, Similarity, evaluate_sts, read_sts
from golden.formats import Log2
from golden.modes import MODE_NAMES, Mode, mode
from golden.quantized import quantized_encoder
from golden.tokens import Tokenizer
from golden.weights import read_weights
from scripts import options
from scripts.console import Bar, out, progress
from scripts.files import check_place, write_json
from scripts.models import load_model

FLOAT = "fp32"
"""Stands for a mode where nothing is quantized."""


def evaluate(
    task: Annotated[Literal["sts-b"], typer.Option(help="The benchmark; its dev split is used.")],
    glue: options.Glue,
    mode_name: options.ModeOrFloat = "w8a8",
    exponent_bits: options.ExponentBits = 4,
    checkpoint: Annotated[
        Path | None, typer.Option(help="Quantized model; by default quantized here, once.")
    ] = None,
    backend: Annotated[options.Backend, typer.Option(help="What computes the GEMMs.")] = "golden",
    limit: options.Limit = None,
    json_file: options.JsonFile = None,
) -> None:
    """Correlate the cosines of sentence vectors with the scores that people gave, in percent."""
    chosen = mode_or_float(mode_name, exponent_bits)
    if backend == "rtl":
        raise ValueError("--backend: expected golden, got rtl, which eval does not offer yet")
    if chosen is None and checkpoint is not None:
        raise ValueError(f"--checkpoint: expected with a quantized mode, got --mode {FLOAT}")
    check_place(json_file, "--json")
    pairs = read_pairs(glue, limit)
    started = time.perf_counter()
    with progress() as bar:
        bar.stage(f"loading {mode_name}")
        encoder = load_encoder(chosen, checkpoint)
        result = score(encoder, pairs, bar, f"{task} in {mode_name}")
    record: dict[str, Any] = {"task": task, "mode": mode_name, "backend": backend}
    if chosen is not None and isinstance(chosen.w_format, Log2):
        record["exponent_bits"] = exponent_bits
    record |= {"pairs": result.pairs, "pearson": result.pearson, "spearman": result.spearman}
    record["seconds"] = time.perf_counter() - started
    write_json(json_file, record)
    table = Table(title=f"{task} dev, {result.pairs:,} pairs, correlation in percent")
    for heading in ("mode", "backend"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Pearson", "Spearman", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    figures = (f"{result.pearson:.2f}", f"{result.spearman:.2f}", f"{record['seconds']:.1f}")
    table.add_row(mode_name, backend, *figures)
    out.print(table)


def mode_or_float(name: str, exponent_bits: int) -> Mode | None:
    """The mode of that name, None for fp32; raises ValueError that lists both."""
    if name == FLOAT:
        return None
    if name not in MODE_NAMES:
        raise ValueError(f"--mode: expected one of {', '.join((*MODE_NAMES, FLOAT))}, got {name!r}")
    return mode(name, exponent_bits)


def read_pairs(glue: Path, limit: int | None = None) -> list[Pair]:
    """The first `limit` pairs of STS-B's dev split (None for all); raises ValueError that names the option."""
    if limit is not None and limit < 2:
        raise ValueError(f"--limit: expected 2 pairs or more, got {limit}")
    try:
        return read_sts(glue)[:limit]
    except (OSError, ValueError) as error:
        raise ValueError(f"--glue: {error}") from None


def load_encoder(chosen: Mode | None, checkpoint: Path | None = None) -> Encoder:
    """The encoder in a mode, on golden, or in float32; errors as `load_model`."""
    if chosen is None:
        return float_encoder(read_weights())
    return quantized_encoder(load_model(chosen, checkpoint), golden_backend)


def score(encoder: Encoder, pairs: list[Pair], bar: Bar, stage: str) -> Similarity:
    """`evaluate_sts` with its progress on the bar."""
    bar.stage(stage)
    return evaluate_sts(encoder, Tokenizer(), pairs, progress=lambda done, total: bar(done / total))
