"""`tilebert simulate`: compare all GEMMs of one encoder layer, on a sentence, with golden."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from rich.table import Table

from golden.bert.quantized import quantized_encoder
from golden.bert.tokens import Tokenizer
from golden.numeric.gemm import gemm
from golden.schedule.backend import golden_backend
from golden.schedule.job import Job
from golden.spec.modes import Mode
from hw.buildspec import BuildSpec
from hw.config import Config
from scripts import options
from scripts.builds import with_build
from scripts.console import Bar, err, out, progress, status
from scripts.files import check_place, check_text, write_json
from scripts.models import load_model, origin
from sim.build import Build
from sim.build import build as build_simulator
from sim.compare import Comparison, compare
from sim.simulation import GroupResult
from sim.simulation import simulate as run_simulation


@dataclass(frozen=True)
class Group:
    """Jobs with the same name, such as all heads of an attention product, and golden's results."""

    name: str
    jobs: list[Job]
    expected: list[NDArray[np.integer]]


@with_build("modes", "rows", "cols", "exponent_bits")
def simulate(
    build: BuildSpec,
    layer: Annotated[int, typer.Option(help="Encoder layer, from 0.")] = 0,
    text: Annotated[str, typer.Option(help="The sentence.")] = options.SENTENCE,
    checkpoint: options.Checkpoint = None,
    simulator: options.Simulator = "verilator",
    json_file: options.JsonFile = None,
) -> None:
    """Run every GEMM of an encoder layer on the generated hardware and compare it with golden.

    Linear GEMMs use the given modes, the two attention products w8a8. Any difference ends with exit
    status 1.
    """
    if checkpoint is not None and len(build.modes) > 1:
        raise ValueError(f"--checkpoint: expected with one mode, got {len(build.modes)}")
    check_place(json_file, "--json")
    check_text(text, "--text")
    config = build.including("w8a8").config
    options.check_size(config, "simulate")
    groups: list[Group] = []
    for chosen in build.config.modes:
        with status(f"golden in {chosen.name}"):
            groups += layer_groups(chosen, layer, text, checkpoint)
    with progress() as bar:
        bar.stage(f"building {build.rows} x {build.cols}")
        built = build_simulator(config, simulator)
        results, comparisons, seconds = _run(built, groups, bar)
    records = [
        _record(group, result, c)
        for group, result, c in zip(groups, results, comparisons, strict=True)
    ]
    write_json(
        json_file,
        {
            "bit_exact": all(comparison.exact for comparison in comparisons),
            **built.digests,
            "simulator": built.simulator,
            "rows": build.rows,
            "cols": build.cols,
            "models": {
                chosen.name: origin(chosen, checkpoint, False) for chosen in build.config.modes
            },
            "sentence": text,
            "seconds": seconds,
            "results": records,
        },
    )
    _report(config, built, groups, results, comparisons, records)
    if not all(comparison.exact for comparison in comparisons):
        raise typer.Exit(1)


def layer_groups(
    chosen: Mode, layer: int, text: str, checkpoint: Path | None = None
) -> list[Group]:
    """Every GEMM of one layer on a sentence, in order, with golden's results."""
    model = load_model(chosen, checkpoint)
    if not 0 <= layer < model.config.layers:
        raise ValueError(f"--layer: expected 0..{model.config.layers - 1}, got {layer}")
    groups: list[Group] = []

    def recorder(jobs: Sequence[Job]) -> list[NDArray[np.integer]]:
        results = golden_backend(jobs)
        for job, y in zip(jobs, results, strict=True):
            if job.layer == layer:
                name = job.name.partition("/")[0]
                if not groups or groups[-1].name != name:
                    groups.append(Group(name, [], []))
                groups[-1].jobs.append(job)
                groups[-1].expected.append(y)
        return results

    quantized_encoder(model, recorder).hidden_states([Tokenizer().encode(text)])
    return groups


def _run(
    built: Build, groups: list[Group], bar: Bar
) -> tuple[list[GroupResult], list[Comparison], float]:
    bar.stage("simulating")
    run = run_simulation(built, [group.jobs for group in groups], progress=bar)
    comparisons = []
    for group, result in zip(groups, run.groups, strict=True):
        # Compare the heads together, stacked as [heads, M, N].
        comparisons.append(compare(np.stack(group.expected), np.stack(result.y)))
    return run.groups, comparisons, run.seconds


def _record(group: Group, result: GroupResult, comparison: Comparison) -> dict[str, Any]:
    job = group.jobs[0]
    m, k, n = job.shape
    return {
        "gemm": group.name,
        "layer": job.layer,
        "mode": job.mode.name,
        "m": m,
        "k": k,
        "n": n,
        "count": len(group.jobs),
        "tiles": result.tiles,
        "cycles": result.cycles,
        "cycles_per_second": result.cycles / result.seconds,
        "utilization": result.utilization,
        "mismatches": comparison.mismatches,
        "max_abs_acc": max(int(np.abs(gemm(job.x, job.w, job.mode)).max()) for job in group.jobs),
    }


def _report(
    config: Config,
    built: Build,
    groups: list[Group],
    results: list[GroupResult],
    comparisons: list[Comparison],
    records: list[dict[str, Any]],
) -> None:
    table = Table(
        title=f"Layer {records[0]['layer']} on {config.rows} x {config.cols} PEs, {built.simulator}"
    )
    for heading in ("GEMM", "mode", "M x K x N", "y"):
        table.add_column(heading, no_wrap=True)
    for heading in ("tiles", "cycles", "busy", "max |acc|", "cycles/s", "results", "wrong"):
        table.add_column(heading, justify="right", no_wrap=True)
    for group, record, comparison in zip(groups, records, comparisons, strict=True):
        shape = f"{record['m']} x {record['k']} x {record['n']}"
        if record["count"] > 1:
            shape = f"{record['count']} x ({shape})"
        table.add_row(
            record["gemm"],
            record["mode"],
            shape,
            "raw" if group.jobs[0].epilogue is None else f"int{group.jobs[0].epilogue.bits}",
            f"{record['tiles']:,}",
            f"{record['cycles']:,}",
            f"{record['utilization']:.1%}",
            f"{record['max_abs_acc']:,}",
            f"{record['cycles_per_second']:,.0f}",
            f"{comparison.count:,}",
            f"{comparison.mismatches:,}",
        )
    out.show(table)
    for group, comparison in zip(groups, comparisons, strict=True):
        if not comparison.exact:
            err.say(f"tilebert: {group.name}: {comparison}")
    total = sum(comparison.count for comparison in comparisons)
    cycles = sum(result.cycles for result in results)
    if all(comparison.exact for comparison in comparisons):
        out.say(
            f"exact: all {total:,} results of {len(groups)} GEMMs equal golden, {cycles:,} cycles "
            "simulated"
        )
        out.say(f"Verilog sha256 {built.design.sha256}")
