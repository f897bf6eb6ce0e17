"""`tilebert formats`: the number formats compared on the real model's weights and a benchmark."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from scripts import options
from scripts.console import out, progress
from scripts.eval.accuracy import read_pairs
from scripts.eval.encoders import FLOAT
from scripts.eval.measurements import LAYER, Measurements, format_label, measure
from scripts.files import check_folder, check_place, make_folder, write_json, write_text
from scripts.models import MODEL_PACKAGE


def formats(
    glue: options.GlueOrNone = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Folder for plots and histograms; made if missing."),
    ] = None,
    limit: options.Limit = None,
    json_file: options.JsonFile = None,
) -> None:
    """Compare the formats: STS-B correlation, errors of weights and GEMM results, zeros, bytes.

    The linear GEMMs are quantized to each format after training, with clipping. The two attention
    products are always in w8a8.
    """
    check_place(json_file, "--json")
    check_folder(output, "--output", json=json_file)
    if glue is None and limit is not None:
        raise ValueError("--limit: expected with --glue, got none")
    pairs = None if glue is None else read_pairs(glue, limit)
    with progress() as bar:
        measurements = measure(pairs, bar)
        if output is not None:
            bar.stage("plotting")
            make_folder(output, "--output")
            _write_plots(output, measurements)
    write_json(json_file, measurements.record())
    out.show(_table(measurements))


def _table(measurements: Measurements) -> Table:
    base = measurements.base
    sentences = "" if base is None else f", STS-B dev: {base.pairs:,} pairs"
    table = Table(title=f"Formats of the linear layers of {MODEL_PACKAGE}{sentences}")
    for heading in ("mode", "weights", "activations"):
        table.add_column(heading, no_wrap=True)
    for heading in (
        "Pearson, %",
        "to FP32",
        "weight SNR, dB",
        "GEMM SNR, dB",
        "zero codes",
        "weights, kB",
    ):
        table.add_column(heading, justify="right")
    real = ("float32", "float32", "not run" if base is None else f"{base.pearson:.2f}")
    size = f"{measurements.float_bytes / 1e3:,.0f}"
    table.add_row(FLOAT, *real, "", "", "", f"{measurements.float_zeros:.1%}", size)
    for row in measurements.rows:
        pearson = ("not run", "")
        if base is not None and row.similarity is not None:
            pearson = (
                f"{row.similarity.pearson:.2f}",
                f"{row.similarity.pearson - base.pearson:+.2f}",
            )
        table.add_row(
            row.label,
            row.weight_format,
            format_label(row.mode.x_format),
            *pearson,
            f"{row.weights.signal_to_noise:.1f}",
            f"{row.outputs.mean_signal_to_noise:.1f}",
            f"{row.weights.zero_fraction:.1%}",
            f"{row.weights.stored_bytes / 1e3:,.0f}",
        )
    return table


def _write_plots(folder: Path, measurements: Measurements) -> None:
    # Import only here: importing matplotlib takes longer than most commands run.
    from scripts.report import plots

    formats = {
        f"{label}\n{measurements.users(label)}": row
        for label, row in measurements.by_weight_format.items()
    }
    figures = {
        "weight_errors": plots.errors(
            "Relative error of the linear weights of all layers, by format",
            "|quantized - real| / |real| in %; 100 where the code is 0",
            "share of weights in %",
            {label: row.weights.errors for label, row in formats.items()},
        ),
        "gemm_errors": plots.errors(
            f"Relative error of the results of layer {LAYER}'s six linear GEMMs on one sentence, "
            "by mode",
            "|quantized - float| / |float| in %",
            "share of results in %",
            {row.label: row.outputs.errors for row in measurements.rows},
        ),
        "code_usage": plots.usage(
            "Use of codes by the linear weights of all layers, by format",
            "share of weights in %",
            {label: row.weights.usage for label, row in formats.items()},
        ),
    }
    for name, figure in figures.items():
        plots.write(folder / f"{name}.png", figure)
    write_text(folder / "histograms.json", "--output", json.dumps(measurements.histograms()) + "\n")
