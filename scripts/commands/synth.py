"""`tilebert synth`: the cells, and optionally the clock frequency, of a build on an FPGA."""

from typing import Annotated, Any

import typer
from rich.table import Table

from hw.buildspec import BuildSpec
from hw.config import Config
from hw.flow.families import DEVICES, FAMILIES, PLACED, TargetName
from hw.flow.floors import floor_of
from hw.flow.signoff import SignOff, sign_off
from hw.flow.synth import synthesize
from hw.verilog.design import UnitName
from scripts import options
from scripts.builds import CORE, with_build
from scripts.console import out, status
from scripts.files import check_place, is_stream, write_json


@with_build(*CORE)
def synth(
    build: BuildSpec,
    unit: Annotated[UnitName, typer.Option(help="What to map.")] = "array",
    target: Annotated[TargetName, typer.Option(help="Family of parts.")] = "ecp5",
    pnr: Annotated[
        bool,
        typer.Option("--pnr", help="Also place and route the unit behind four pins: the sign-off."),
    ] = False,
    device: Annotated[
        str | None,
        typer.Option(
            help=f"Part to place on: one of {', '.join(DEVICES)}; by default the target's."
        ),
    ] = None,
    seeds: Annotated[
        list[int],
        typer.Option("--seed", callback=options.check_seed, help="Seed of the placer; several."),
    ] = [1, 2, 3],  # noqa: B006
    clock: Annotated[
        float | None,
        typer.Option(
            help="Target frequency in MHz, against which slack is reported; by default 156 for a "
            "core on ECP5, else 250."
        ),
    ] = None,
    json_file: options.JsonFile = None,
) -> None:
    """Map a unit with Yosys and count its cells, in total and per PE.

    The cells of `array` include edge decoders, skew registers and drain chains, so the cells per PE
    include a share of these.
    """
    chosen = _device(target, device, pnr)
    if clock is not None:
        options.check_clock(clock)
    check_place(json_file, "--json")
    config = build.config
    options.check_size(config, "map")
    with status(f"mapping {unit} for {target}"):
        result = synthesize(unit, config, target)
    pes = 1 if unit == "pe" else build.rows * build.cols
    share = result.cells.divided(pes)
    record: dict[str, Any] = {
        "unit": unit,
        "build": str(build),
        "modes": [*build.modes],
        "exponent_bits": build.exponent_bits,
        "rows": build.rows,
        "cols": build.cols,
        "target": target,
        "device": chosen,
        "cells": result.cells.record(),
        "per_pe": share.record(),
        "raw": result.cells.raw,
        "k_max": build.k_max,
        "dsp": build.dsp,
        "verilog_sha256": result.design.sha256,
        "yosys": result.yosys,
    }
    once = json_file is not None and is_stream(json_file)
    if not (pnr and once):
        write_json(json_file, record)
    modes = ", ".join(build.modes)
    out.say(f"{unit} {build.rows} x {build.cols}, {modes}, on {chosen} (Yosys {result.yosys})")
    table = Table()
    table.add_column("cells")
    table.add_column("total", justify="right")
    table.add_column("per PE", justify="right")
    totals, shares = result.cells.record(), share.record()
    for name, total in totals.items():
        table.add_row(name, f"{total:,}", f"{shares[name]:.1f}")
    out.show(table)
    if target == "ecp5":
        _print_floor(config)
    if pnr:
        # Write the record after every seed, so that an interruption loses only the current seed.
        with status("mapping") as show:
            signed = sign_off(
                unit,
                config,
                chosen,
                seeds,
                clock,
                progress=show,
                # A pipe cannot be rewritten, so it gets only the final record.
                done=lambda result: write_json(
                    None if once else json_file, record | result.record()
                ),
            )
        if once:
            write_json(json_file, record | signed.record())
        _print_sign_off(signed)


def _device(target: str, device: str | None, pnr: bool) -> str:
    """The part on which the unit is placed, or for which figures are quoted.

    Raises ValueError that names the option.
    """
    if pnr and target not in PLACED:
        raise ValueError(f"--pnr: expected --target {' or '.join(PLACED)}, got {target}")
    names = [name for name, part in DEVICES.items() if part.family == target]
    if device is not None and device not in names:
        known = f"one of {', '.join(names)}" if names else f"none with --target {target}"
        raise ValueError(f"--device: expected {known}, got {device!r}")
    return device or FAMILIES[target].device


def _print_floor(config: Config) -> None:
    floor = floor_of(config)
    if floor is not None:
        together = f", {floor.mhz_as_64} as 64" if floor.mhz_as_64 else ""
        out.say(
            f"the fabric's floor: {floor.unit}, {floor.sum_width}-bit sums, no drain: {floor.comb} "
            "COMB, "
            f"{floor.ff} FF, {floor.mhz_alone} MHz alone{together} (hw/flow/floors.py)"
        )


def _print_sign_off(result: SignOff) -> None:
    units = Table(
        title=f"cells by unit behind four pins, netlist sha256 {result.netlist_sha256[:16]}"
    )
    units.add_column("unit")
    for name in ("COMB", "FF", "DSP", "BRAM"):
        units.add_column(name, justify="right")
    for whose, cells in result.units.items():
        counts = cells.record()
        units.add_row(whose, *(f"{counts[name]:,.0f}" for name in ("COMB", "FF", "DSP", "BRAM")))
    out.show(units)
    worst = result.worst
    if worst is None:
        return
    table = Table(title=f"post-route on {result.device}")
    for heading in ("seed", "MHz", "slack, ns", "critical path"):
        table.add_column(heading)
    for placement in result.placements:
        path = " -> ".join(step.signal for step in placement.path)
        table.add_row(
            str(placement.seed), f"{placement.fmax_mhz:.1f}", f"{placement.slack_ns:.2f}", path
        )
    out.show(table)
    out.say(
        f"worst of {len(result.placements)} seeds: {worst.fmax_mhz:.1f} MHz, slack "
        f"{worst.slack_ns:.2f} ns at "
        f"{worst.clock_mhz:g} MHz"
    )
