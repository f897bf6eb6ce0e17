"""`tilebert bench`: utilization of the array for each GEMM of a layer, counted in simulation."""

from typing import Annotated, Any, Literal

import typer
from rich.table import Table

from golden.schedule.job import Job
from golden.schedule.shapes import ENCODERS, EncoderShape
from hw.buildspec import BuildSpec
from scripts import options
from scripts.builds import with_build
from scripts.console import out, progress
from scripts.files import check_place, write_json
from scripts.layer import bounds, time_layer
from sim.simulation import GroupResult

MOST_TOKENS = 4096
"""Attention scores grow with the square of the tokens: 200 million in 12 heads at 4096 tokens."""

ModelName = Literal["bert-base", "minilm"]


@with_build(
    "mode",
    "rows",
    "cols",
    "bus",
    "x_words",
    "w_words",
    "results",
    "exponent_bits",
    "k_max",
    rows=16,
    cols=16,
)
def bench(
    build: BuildSpec,
    model: Annotated[ModelName, typer.Option(help="Whose layer.")] = "bert-base",
    tokens: Annotated[int, typer.Option(help="Rows of x.")] = 128,
    json_file: options.JsonFile = None,
) -> None:
    """Time the GEMMs of an encoder layer on random codes, each by itself and all in sequence.

    Cycles are counted from the first accepted command to the last result and include loads. Every
    result is compared with golden; any difference ends with exit status 1.
    """
    if not 1 <= tokens <= MOST_TOKENS:
        raise ValueError(f"--tokens: expected 1..{MOST_TOKENS}, got {tokens}")
    check_place(json_file, "--json")
    hardware = build.including("w8a8")
    config = hardware.config
    options.check_size(config, "simulate")
    with progress() as bar:
        timing = time_layer(config, model, tokens, build.first_mode, bar)
    records = [_record(name, group, timing.wrong[name]) for name, group in timing.groups.items()]
    buffers = config.x_ring.lines * config.x_ring.line + config.w_ring.lines * config.w_ring.line
    write_json(
        json_file,
        {
            "model": model,
            "build": str(hardware),
            "mode": build.first_mode.name,
            "tokens": tokens,
            "rows": build.rows,
            "cols": build.cols,
            "bus": build.bus,
            "results_per_cycle": build.results,
            "buffer_bytes": buffers,
            "bit_exact": timing.exact,
            **timing.build.digests,
            "seconds": timing.run.seconds,
            "results": records,
        },
    )
    title = (
        f"{model}, {tokens} tokens, {build.first_mode.name} on {build.rows} x {build.cols} PEs: "
        f"{build.bus} bytes and {build.results} results a cycle, buffers of {buffers // 1024} KB"
    )
    _report(title, ENCODERS[model], records)
    if not timing.exact:
        raise typer.Exit(1)
    run = timing.run
    out.say(
        f"exact: all {timing.results:,} results equal golden, {run.cycles:,} cycles in "
        f"{run.seconds:.0f} s"
    )


def _record(name: str, group: GroupResult, wrong: int) -> dict[str, Any]:
    least = bounds(group)
    bound, cycles = least.tightest
    return {
        "gemm": name,
        "jobs": [_shape(job) for job in group.jobs],
        "tiles": group.tiles,
        "cycles": group.cycles,
        "predicted": group.schedule.cycles,
        "load_beats": group.schedule.load_transfers,
        "utilization": group.utilization,
        "bound": bound,
        "bound_cycles": {"slots": least.slots, "bus": least.bus, "results": least.results},
        "of_bound": cycles / group.cycles,
        "mismatches": wrong,
    }


def _shape(job: Job) -> tuple[str, int, int, int]:
    return (job.mode.name, *job.shape)


def _report(title: str, encoder: EncoderShape, records: list[dict[str, Any]]) -> None:
    out.say(title)
    table = Table()
    for heading in ("GEMM", "mode", "M x K x N"):
        table.add_column(heading, no_wrap=True)
    for heading in ("cycles", "predicted", "multipliers", "bus", "bound", "of bound", "wrong"):
        table.add_column(heading, justify="right", no_wrap=True)
    for record in records:
        mode_name, m, k, n = record["jobs"][0]
        count = len(record["jobs"])
        shape = f"{m} x {k} x {n}" if count == 1 else f"{count} x ({m} x {k} x {n})"
        if record is records[-1]:
            table.add_section()
            mode_name, shape = "", f"{count} GEMMs"
        table.add_row(
            record["gemm"],
            mode_name,
            shape,
            f"{record['cycles']:,}",
            f"{record['predicted']:,}",
            f"{record['utilization']:.1%}",
            f"{record['load_beats'] / record['cycles']:.1%}",
            record["bound"],
            f"{record['of_bound']:.1%}",
            f"{record['mismatches']:,}",
        )
    out.show(table)
