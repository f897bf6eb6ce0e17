"""`tilebert synth`: what a build costs on a part."""

from typing import Annotated, Any

import typer
from rich.table import Table

from golden.modes import K_MAX
from hw.config import Config
from hw.floors import floor_of
from hw.harness import mapped
from hw.pnr import Placement, place_and_route, timing_weight
from hw.synth import PARTS, TargetName, synthesize
from hw.verilog import UnitName
from scripts import options
from scripts.console import err, out
from scripts.files import write_json


def synth(
    mode_names: options.Modes = ["w8a8"],  # noqa: B006 - Typer copies it
    unit: Annotated[UnitName, typer.Option(help="What to map.")] = "array",
    rows: options.Rows = 8,
    cols: options.Cols = 8,
    target: Annotated[TargetName, typer.Option(help="Family of parts.")] = "ecp5",
    exponent_bits: options.ExponentBits = 4,
    k_max: options.KMax = K_MAX,
    bus: options.Bus = 8,
    x_words: options.XWords = 0,
    w_words: options.WWords = 0,
    results: options.Results = 4,
    no_dsp: options.NoDsp = False,
    pnr: Annotated[
        bool, typer.Option("--pnr", help="Also place and route the array behind a few pins, on ecp5.")
    ] = False,
    seeds: Annotated[list[int], typer.Option("--seed", help="Seed of the placer; several.")] = [1, 2, 3],  # noqa: B006
    json_file: options.JsonFile = None,
) -> None:
    """Map a unit with Yosys and count its cells, in all and per PE.

    In `array` the edge decoders, skew and drain are counted, and a PE carries its share of them.
    """
    if pnr and (unit, target) != ("array", "ecp5"):
        raise ValueError(f"--pnr: expected --unit array and --target ecp5, got {unit} and {target}")
    config = options.build_config(
        mode_names,
        rows,
        cols,
        exponent_bits=exponent_bits,
        k_max=k_max,
        dsp=not no_dsp,
        bus=bus,
        x_words=x_words,
        w_words=w_words,
        results=results,
    )
    with err.status(f"mapping {unit} for {target}"):
        result = synthesize(unit, config, target)
    pes = 1 if unit == "pe" else rows * cols
    share = result.cells.divided(pes)
    device = PARTS[target].device
    placements = _placed(config, seeds) if pnr else []
    record: dict[str, Any] = {"fmax_mhz": {str(p.seed): p.fmax_mhz for p in placements}} if pnr else {}
    write_json(
        json_file,
        {
            **record,
            "placements": [placement.record() for placement in placements],
            "unit": unit,
            "modes": [mode.name for mode in config.modes],
            "rows": rows,
            "cols": cols,
            "target": target,
            "device": device,
            "cells": result.cells.record(),
            "per_pe": share.record(),
            "raw": result.cells.raw,
            "k_max": k_max,
            "dsp": config.dsp,
            "verilog_sha256": result.design.sha256,
            "yosys": result.yosys,
        },
    )
    modes = ", ".join(mode.name for mode in config.modes)
    title = f"{unit} {rows} x {cols}, {modes}, on {device} (Yosys {result.yosys})"
    out.print(title)
    table = Table()
    table.add_column("cells")
    table.add_column("total", justify="right")
    table.add_column("per PE", justify="right")
    totals, shares = result.cells.record(), share.record()
    for name, total in totals.items():
        table.add_row(name, f"{total:,}", f"{shares[name]:.1f}")
    out.print(table)
    _print_floor(config)
    _print_placements(placements)


def _placed(config: Config, seeds: list[int]) -> list[Placement]:
    netlist = mapped(config)
    with err.status("placing and routing") as status:
        return place_and_route(
            netlist,
            seeds=seeds,
            weight=timing_weight(config),
            progress=lambda seed: status.update(f"placing and routing, seed {seed}"),
        )


def _print_floor(config: Config) -> None:
    floor = floor_of(config)
    if floor is not None:
        together = f", {floor.mhz_as_64} as 64" if floor.mhz_as_64 else ""
        out.print(
            f"the fabric's floor: {floor.unit}, {floor.sum_width}-bit sums, no drain: {floor.comb} COMB, "
            f"{floor.ff} FF, {floor.mhz_alone} MHz alone{together} (hw/floors.py)"
        )


def _print_placements(placements: list[Placement]) -> None:
    if not placements:
        return
    table = Table(title="post-route")
    for heading in ("seed", "MHz", "critical path"):
        table.add_column(heading)
    for placement in placements:
        path = " -> ".join(step.signal for step in placement.path)
        table.add_row(str(placement.seed), f"{placement.fmax_mhz:.1f}", path)
    out.print(table)
    worst = min(placement.fmax_mhz for placement in placements)
    out.print(f"worst of {len(placements)} seeds: {worst:.1f} MHz")
