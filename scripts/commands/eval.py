"""`tilebert eval`: how well a model agrees with the human labels of a benchmark."""

import os
import time
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from golden.bert.encoder import float_encoder
from golden.bert.evaluation import pair_sequences, similarity
from golden.bert.quantized import quantized_encoder
from golden.bert.tokens import Tokenizer
from golden.bert.weights import read_weights
from golden.schedule.backend import golden_backend
from golden.spec.formats import Log2
from golden.tasks.glue import SIMILARITY, TASK_NAMES, Task, task_of
from scripts import options
from scripts.builds import core_build
from scripts.console import err, out, progress
from scripts.eval.accuracy import accuracy, read_pairs
from scripts.eval.encoders import FLOAT, mode_or_float
from scripts.eval.fleet import Setup, embed_on_rtl
from scripts.files import check_folder, check_place, write_json
from scripts.models import check_choice, load_model, origin
from sim.backend import RtlBackend, Tally
from sim.build import build


def evaluate(
    task: Annotated[
        str,
        typer.Option(
            help=f"The benchmark, whose dev split is used: one of {', '.join(TASK_NAMES)}."
        ),
    ],
    glue: options.Glue,
    mode_name: options.ModeOrFloat = "w8a8",
    exponent_bits: options.ExponentBits = None,
    checkpoint: options.Checkpoint = None,
    post_training: options.PostTraining = False,
    backend: Annotated[options.Backend, typer.Option(help="What computes the GEMMs.")] = "golden",
    limit: options.Limit = None,
    rows: options.Rows = 16,
    cols: options.Cols = 16,
    bus: options.Bus = 8,
    workers: Annotated[int, typer.Option(help="Processes that simulate; 0: one per core.")] = 0,
    scheduler: Annotated[
        str | None,
        typer.Option(help="Simulate on the Dask cluster with this scheduler, host:port."),
    ] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="Keep what is done in this folder, and go on from there when repeated."),
    ] = None,
    json_file: options.JsonFile = None,
) -> None:
    """Score a model on a benchmark, in percent.

    The score of similarity comes from the cosines of sentence vectors, the score of any other task
    from the outputs of a task head. sts-b is scored by cosines, too, unless the checkpoint has a
    head for it. The other tasks need a checkpoint that `train` made for them; with --backend rtl,
    a single process simulates a model with a head.
    """
    chosen = mode_or_float(mode_name, exponent_bits)
    kind = task_of(task)
    if chosen is None and backend == "rtl":
        raise ValueError(f"--backend: expected golden with --mode {FLOAT}, got rtl")
    if workers < 0:
        raise ValueError(f"--workers: expected 0 or more, got {workers}")
    if chosen is None and checkpoint is not None:
        raise ValueError(f"--checkpoint: expected with a quantized mode, got --mode {FLOAT}")
    check_choice(checkpoint, post_training)
    check_place(json_file, "--json")
    setup = Setup(core_build(chosen, rows, cols, bus), checkpoint, post_training)
    mode_name = FLOAT if chosen is None else chosen.name
    if backend == "rtl":
        options.check_size(setup.config, "simulate")
    check_folder(keep, "--keep", json=json_file)
    pairs = read_pairs(glue, limit, task)
    started = time.perf_counter()
    tally: Tally | None = None
    with progress() as bar:
        bar.stage(f"loading {mode_name}")
        model = (
            None if chosen is None else load_model(chosen, checkpoint, trained=not post_training)
        )
        head = None if model is None else model.head
        if kind is task_of(SIMILARITY) and (task == SIMILARITY or head is None):
            task, head = SIMILARITY, None
        if backend == "golden" or head is not None or task != SIMILARITY:
            if model is None:
                encoder = float_encoder(read_weights())
            elif backend == "golden":
                encoder = quantized_encoder(model, golden_backend)
            else:
                rtl = RtlBackend(build(setup.config))
                tally = rtl.tally
                encoder = quantized_encoder(model, rtl)
            figures = accuracy(task, encoder, head, pairs, bar)
        else:
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
            figures = {"pearson": result.pearson, "spearman": result.spearman}
    record: dict[str, Any] = {"task": kind.name, "mode": mode_name, "backend": backend}
    if chosen is not None and isinstance(chosen.w_format, Log2):
        record["exponent_bits"] = chosen.w_format.exponent_bits
    record["model"] = FLOAT if chosen is None else origin(chosen, checkpoint, post_training)
    record |= {"pairs": len(pairs), **figures, "seconds": time.perf_counter() - started}
    if tally is not None:
        record |= {
            "rows": rows,
            "cols": cols,
            "bus": bus,
            **build(setup.config).digests,
        }
        record |= {"mismatches": tally.mismatches, "results": tally.results, "gemms": tally.jobs}
        record |= {
            "products": tally.products,
            "cycles": tally.cycles,
            "utilization": tally.utilization,
        }
    write_json(json_file, record)
    _report(record, kind, tally)


def _report(record: dict[str, Any], kind: Task, tally: Tally | None) -> None:
    texts = "pairs" if len(kind.sentences) == 2 else "sentences"
    table = Table(title=f"{record['task']} dev, {record['pairs']:,} {texts}, in percent")
    for heading in ("mode", "backend"):
        table.add_column(heading, no_wrap=True)
    for heading in (*(name.capitalize() for name in kind.metrics), "seconds"):
        table.add_column(heading, justify="right", no_wrap=True)
    figures = (*(f"{record[name]:.2f}" for name in kind.metrics), f"{record['seconds']:.1f}")
    table.add_row(record["mode"], record["backend"], *figures)
    out.show(table)
    out.say(f"model: {record['model']}")
    if tally is not None:
        out.say(
            f"{tally.mismatches:,} of {tally.results:,} results of {tally.jobs:,} GEMMs differ "
            "from golden; "
            f"{tally.products:,} products in {tally.cycles:,} cycles, utilization "
            f"{tally.utilization:.1%}",
        )
        if tally.mismatches:
            err.say(f"tilebert: eval: {tally.first}")
            raise typer.Exit(1)
