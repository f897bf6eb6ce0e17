"""`tilebert bert`: a sentence through the whole quantized model, on golden or on simulated RTL."""

import time
import warnings
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from golden.bert.encoder import cosine, float_encoder
from golden.bert.quantized import quantized_encoder
from golden.bert.tokens import Tokenizer
from golden.bert.weights import read_weights
from golden.schedule.backend import golden_backend
from golden.spec.modes import Mode
from scripts import options
from scripts.builds import core_build
from scripts.console import Bar, err, out, progress
from scripts.eval.encoders import FLOAT, mode_or_float
from scripts.eval.fleet import Setup
from scripts.files import check_folder, check_places, check_text, write_array, write_json
from scripts.models import check_choice, load_model, origin
from sim.backend import RtlBackend, Tally
from sim.build import build


def bert(
    texts: Annotated[
        list[str], typer.Argument(help="One sentence, or two to compare.", metavar="TEXT [TEXT]")
    ],
    mode_name: options.ModeOrFloat = "w8a8",
    backend: Annotated[options.Backend, typer.Option(help="What computes the GEMMs.")] = "golden",
    exponent_bits: options.ExponentBits = None,
    checkpoint: options.Checkpoint = None,
    post_training: options.PostTraining = False,
    rows: options.Rows = 16,
    cols: options.Cols = 16,
    bus: options.Bus = 8,
    clock: Annotated[
        float, typer.Option(help="Clock in MHz from which times are computed.")
    ] = 150.0,
    dump: Annotated[
        Path | None, typer.Option(help="Write every GEMM of the hardware to this folder, for gemm.")
    ] = None,
    raw: Annotated[
        bool,
        typer.Option(
            "--raw", help="Let every GEMM leave the hardware as sums, none requantized there."
        ),
    ] = False,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where vectors go, .npy.")
    ] = None,
    json_file: options.JsonFile = None,
) -> None:
    """Embed one text, or compare two by the cosine of their vectors.

    With --backend rtl the simulated hardware computes every linear and attention GEMM of all
    layers, and its results are the inputs of the next operations of the model. Each result is
    compared with golden's; any difference ends with exit status 1.
    """
    chosen = mode_or_float(mode_name, exponent_bits)
    _check(texts, chosen, backend, checkpoint, clock, dump, raw)
    check_choice(checkpoint, post_training)
    setup = Setup(core_build(chosen, rows, cols, bus), checkpoint, post_training)
    mode_name = FLOAT if chosen is None else chosen.name
    if backend == "rtl":
        options.check_size(setup.config, "simulate")
    for text in texts:
        check_text(text, "text")
    check_places(json=json_file, output=output)
    check_folder(dump, "--dump", json=json_file, output=output)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        tokens = Tokenizer().encode_all(texts)
    for warning in caught:
        err.say(f"tilebert: {warning.message}")
    tally: Tally | None = None
    with progress() as bar:
        bar.stage(f"loading {mode_name}")
        if chosen is None:
            encoder = float_encoder(read_weights())
        else:
            model = load_model(chosen, checkpoint, trained=not post_training)
            if backend == "golden":
                encoder = quantized_encoder(model, golden_backend)
            else:
                rtl = _rtl(setup, dump, raw, bar, len(texts), model.config.layers)
                tally = rtl.tally
                encoder = quantized_encoder(model, rtl)
        started = time.perf_counter()
        vectors = np.concatenate([encoder.sentence_vectors([ids]) for ids in tokens])
    seconds = time.perf_counter() - started
    record: dict[str, Any] = {
        "mode": mode_name,
        "backend": backend,
        "tokens": [len(ids) for ids in tokens],
    }
    record["model"] = FLOAT if chosen is None else origin(chosen, checkpoint, post_training)
    if len(texts) == 2:
        record["similarity"] = float(cosine(vectors[0], vectors[1]))
    record["seconds"] = seconds
    if tally is not None:
        record |= {"rows": rows, "cols": cols, "bus": bus, "clock_mhz": clock}
        record |= {
            "cycles": tally.cycles,
            "utilization": tally.utilization,
            "mismatches": tally.mismatches,
        }
        record |= {"products": tally.products, "results": tally.results, "gemms": tally.jobs}
        record["milliseconds"] = tally.cycles / clock / 1000
    exact = tally is None or not tally.mismatches
    if output is not None and exact:
        write_array(output, "--output", vectors)
    write_json(json_file, record)
    _report(texts, vectors, record, tally)
    if tally is not None and not exact:
        err.say(f"tilebert: bert: {tally.first}")
        raise typer.Exit(1)


def _check(
    texts: list[str],
    chosen: Mode | None,
    backend: str,
    checkpoint: Path | None,
    clock: float,
    dump: Path | None,
    raw: bool,
) -> None:
    if len(texts) > 2:
        raise ValueError(f"text: expected one or two, got {len(texts)}")
    if chosen is None and (backend == "rtl" or checkpoint is not None):
        wrong = "--backend rtl" if backend == "rtl" else "--checkpoint"
        raise ValueError(f"{wrong}: expected with a quantized mode, got --mode {FLOAT}")
    if dump is not None and backend != "rtl":
        raise ValueError(f"--dump: expected with --backend rtl, got {backend}")
    if raw and backend != "rtl":
        raise ValueError(f"--raw: expected with --backend rtl, got {backend}")
    options.check_clock(clock)


def _rtl(
    setup: Setup, dump: Path | None, raw: bool, bar: Bar, texts: int, layers: int
) -> RtlBackend:
    """The simulated core, which shows its progress through the texts and layers on the bar."""
    bar.stage(f"building {setup.build.rows} x {setup.build.cols}")
    built = build(setup.config)
    bar.stage("simulating")
    calls = 0

    def step(_: Tally) -> None:
        nonlocal calls
        layer, gemm = divmod(calls, _CALLS)
        calls += 1
        bar.stage(f"layer {layer % layers + 1} of {layers}, GEMM {gemm + 1} of {_CALLS}")
        bar(calls / (_CALLS * layers * texts))

    return RtlBackend(built, dump, step, raw)


_CALLS = 6
"""Sequences of jobs in a layer: Q, K and V; scores; context; output; ffn1; ffn2."""


def _report(
    texts: list[str], vectors: np.ndarray, record: dict[str, Any], tally: Tally | None
) -> None:
    table = Table()
    table.add_column("text")
    table.add_column("tokens", justify="right")
    table.add_column("vector", no_wrap=True)
    for text, vector, tokens in zip(texts, vectors, record["tokens"], strict=True):
        start = " ".join(f"{value:+.4f}" for value in vector[:4])
        table.add_row(
            text if len(text) <= 60 else text[:57] + "...",
            str(tokens),
            f"{start} ... of {len(vector)}",
        )
    out.show(table)
    if "similarity" in record:
        where = f"in {record['mode']} on {record['backend']}, model: {record['model']}"
        out.say(f"similarity {record['similarity']:.6f} {where}")
    if tally is not None:
        verdict = "exact" if not tally.mismatches else f"{tally.mismatches:,} WRONG"
        out.say(
            f"{verdict}: {tally.results:,} results of {tally.jobs} GEMMs against golden; "
            f"{tally.products:,} products "
            f"in {tally.cycles:,} cycles, utilization {tally.utilization:.1%}",
        )
        out.say(
            f"{record['milliseconds']:.2f} ms at {record['clock_mhz']:g} MHz, simulated in "
            f"{record['seconds']:.1f} s"
        )
