"""`tilebert eval`: how well a model's similarities agree with people's, on a benchmark's own sentences."""

import os
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from golden.backend import golden_backend
from golden.encoder import Encoder, float_encoder
from golden.evaluation import Similarity, evaluate_sts, pair_sequences, similarity
from golden.formats import Log2
from golden.glue import TASKS, Example, read_examples
from golden.modes import MODE_NAMES, Mode, mode
from golden.quantized import quantized_encoder
from golden.tokens import Tokenizer
from golden.weights import read_weights
from scripts import options
from scripts.console import Bar, err, out, progress
from scripts.files import check_place, write_json
from scripts.fleet import Setup, embed_on_rtl
from scripts.models import load_model
from sim.backend import Tally
from sim.build import build

FLOAT = "fp32"
"""Stands for a mode where nothing is quantized."""


def evaluate(
    task: Annotated[Literal["sts-b"], typer.Option(help="The benchmark; its dev split is used.")],
    glue: options.Glue,
    mode_name: options.ModeOrFloat = "w8a8",
    exponent_bits: options.ExponentBits = 4,
    checkpoint: options.Checkpoint = None,
    backend: Annotated[options.Backend, typer.Option(help="What computes the GEMMs.")] = "golden",
    limit: options.Limit = None,
    rows: options.Rows = 16,
    cols: options.Cols = 16,
    bus: options.Bus = 8,
    workers: Annotated[int, typer.Option(help="Processes that simulate; 0: one per core.")] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="Simulate on the Dask cluster with this scheduler, host:port.")
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep what is done in this folder, and go on from there when repeated."),
    ] = None,
    json_file: options.JsonFile = None,
) -> None:
    """Correlate the cosines of sentence vectors with the scores that people gave, in percent."""
    chosen = mode_or_float(mode_name, exponent_bits)
    if chosen is None and backend == "rtl":
        raise ValueError(f"--backend: expected golden with --mode {FLOAT}, got rtl")
    if workers < 0:
        raise ValueError(f"--workers: expected 0 or more, got {workers}")
    if chosen is None and checkpoint is not None:
        raise ValueError(f"--checkpoint: expected with a quantized mode, got --mode {FLOAT}")
    check_place(json_file, "--json")
    pairs = read_pairs(glue, limit)
    started = time.perf_counter()
    tally: Tally | None = None
    with progress() as bar:
        bar.stage(f"loading {mode_name}")
        if backend == "golden":
            result = score(load_encoder(chosen, checkpoint), pairs, bar, f"{task} in {mode_name}")
        else:
            setup = Setup(mode_name, exponent_bits, rows, cols, bus, checkpoint)
            sequences = pair_sequences(Tokenizer(), pairs)
            vectors, tally = embed_on_rtl(
                setup,
                sequences,
                workers=workers or os.cpu_count() or 1,
                scheduler=scheduler,
                folder=keep,
                progress=bar,
            )
            result = similarity(vectors, pairs)
    record: dict[str, Any] = {"task": task, "mode": mode_name, "backend": backend}
    if chosen is not None and isinstance(chosen.w_format, Log2):
        record["exponent_bits"] = exponent_bits
    record |= {"pairs": result.pairs, "pearson": result.pearson, "spearman": result.spearman}
    record["seconds"] = time.perf_counter() - started
    if tally is not None:
        record |= {
            "rows": rows,
            "cols": cols,
            "bus": bus,
            "verilog_sha256": build(setup.config).design.sha256,
        }
        record |= {"mismatches": tally.mismatches, "results": tally.results, "gemms": tally.jobs}
        record |= {"products": tally.products, "cycles": tally.cycles, "utilization": tally.utilization}
    write_json(json_file, record)
    table = Table(title=f"{task} dev, {result.pairs:,} pairs, correlation in percent")
    for heading in ("mode", "backend"):
        table.add_column(heading, no_wrap=True)
    for heading in ("Pearson", "Spearman", "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    figures = (f"{result.pearson:.2f}", f"{result.spearman:.2f}", f"{record['seconds']:.1f}")
    table.add_row(mode_name, backend, *figures)
    out.print(table)
    if tally is not None:
        out.print(
            f"{tally.mismatches:,} of {tally.results:,} results of {tally.jobs:,} GEMMs differ from golden; "
            f"{tally.products:,} products in {tally.cycles:,} cycles, utilization {tally.utilization:.1%}",
            soft_wrap=True,
        )
        if tally.mismatches:
            err.print(f"tilebert: eval: {tally.first}", markup=False, highlight=False, soft_wrap=True)
            raise typer.Exit(1)


def mode_or_float(name: str, exponent_bits: int) -> Mode | None:
    """The mode of that name, None for fp32; raises ValueError that lists both."""
    if name == FLOAT:
        return None
    if name not in MODE_NAMES:
        raise ValueError(f"--mode: expected one of {', '.join((*MODE_NAMES, FLOAT))}, got {name!r}")
    return mode(name, exponent_bits)


def read_pairs(glue: Path, limit: int | None = None) -> list[Example]:
    """The first `limit` pairs of STS-B's dev split (None for all); raises ValueError that names the option."""
    if limit is not None and limit < 2:
        raise ValueError(f"--limit: expected 2 pairs or more, got {limit}")
    try:
        return read_examples(TASKS["sts-b"], glue)[:limit]
    except (OSError, ValueError) as error:
        raise ValueError(f"--glue: {error}") from None


def load_encoder(chosen: Mode | None, checkpoint: Path | None = None) -> Encoder:
    """The encoder in a mode, on golden, or in float32; errors as `load_model`."""
    if chosen is None:
        return float_encoder(read_weights())
    return quantized_encoder(load_model(chosen, checkpoint), golden_backend)


def score(encoder: Encoder, pairs: list[Example], bar: Bar, stage: str) -> Similarity:
    """`evaluate_sts` with its progress on the bar."""
    bar.stage(stage)
    return evaluate_sts(encoder, Tokenizer(), pairs, progress=lambda done, total: bar(done / total))
