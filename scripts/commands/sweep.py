"""`tilebert sweep`: synthesize, place and route many builds, and record the results in a file."""

import itertools
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import as_completed
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from golden.schedule.shapes import ENCODERS
from golden.spec.modes import K_MAX, MODE_NAMES
from hw.buildspec import EXPONENT_BITS, BuildSpec, parse_modes
from hw.flow.families import FAMILIES, PLACED
from hw.flow.registry import Point, Record, measure, registry
from hw.verilog.design import UNITS
from scripts import options, records
from scripts.builds import named_options
from scripts.console import err, out, progress
from scripts.eval.fleet import executor
from scripts.files import check_place, is_stream, write_text
from scripts.layer import LayerPoint


def sweep(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="File of records, .csv; what is in it is done.")
    ],
    units: Annotated[
        list[str] | None,
        typer.Option("--unit", help="A unit; several. Without one, the project's own list."),
    ] = None,
    mode_sets: Annotated[
        list[str] | None,
        typer.Option("--modes", help="Modes of a build joined by +, or all; several sets."),
    ] = None,
    sizes: Annotated[
        list[str] | None, typer.Option("--size", help="Rows x columns, as 8x8; several.")
    ] = None,
    k_maxes: Annotated[
        list[int] | None, typer.Option("--k-max", help="Largest K; several.")
    ] = None,
    targets: Annotated[
        list[str] | None, typer.Option("--target", help="Family of parts; several.")
    ] = None,
    exponent_bits: Annotated[
        list[int] | None, typer.Option("--exponent-bits", help="Of log2 codes; several.")
    ] = None,
    no_dsp: Annotated[
        bool, typer.Option("--no-dsp", help="Builds without multiplier blocks.")
    ] = False,
    seeds: Annotated[
        list[int] | None,
        typer.Option(
            "--seed",
            callback=options.check_seed,
            help="Also place and route with this seed; several.",
        ),
    ] = None,
    models: Annotated[
        list[str] | None,
        typer.Option("--bench", help="Also simulate a layer of this model in each mode; several."),
    ] = None,
    workers: Annotated[int, typer.Option(help="Processes; 0: one per core.")] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="Run on the Dask cluster with this scheduler, host:port.")
    ] = None,
) -> None:
    """Measure every combination of the named units, modes, sizes and targets.

    Without a unit, the sweep measures the units of the project's baseline. If a sweep is
    interrupted, the same command continues it.
    """
    check_place(output, "--output")
    if workers < 0:
        raise ValueError(f"--workers: expected 0 or more, got {workers}")
    for name, values, known in (
        ("--unit", units, UNITS),
        ("--target", targets, FAMILIES),
        ("--bench", models, ENCODERS),
    ):
        for value in values or []:
            if value not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
    points: list[Point | LayerPoint] = list(registry()) if units is None and models is None else []
    builds = _builds(
        mode_sets or ["w8a8"],
        exponent_bits or [],
        [_size(size) for size in sizes or ["8x8"]],
        k_maxes or [K_MAX],
        not no_dsp,
    )
    points += _grid(units or [], builds, targets or ["ecp5"], [None, *(seeds or [])])
    points += _layers(models or [], builds)
    points = list({point.name: point for point in points}.values())
    for point in points:
        # Refuse an array that is too large before any measurement starts.
        options.check_size(
            point.build.config, "simulate" if isinstance(point, LayerPoint) else "map"
        )
    # A pipe cannot be read back to find what is done: write all records to it at the end.
    piped = is_stream(output)
    if not piped:
        records.mend(output)
    found = [] if piped else records.read(output)
    missing = [point for point in points if not any(point.made(record.name) for record in found)]
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with progress() as bar, executor(workers or os.cpu_count() or 1, scheduler) as pool:
        bar.stage(f"{len(missing)} of {len(points)} builds")
        futures = {pool.submit(measured, point): point for point in missing}
        failed: BaseException | None = None
        for number, future in enumerate(as_completed(futures), 1):
            error = future.exception()
            if error is not None:
                # Let the other points finish, so that their records are kept.
                failed = error
                err.say(f"tilebert: sweep: {futures[future].name}: {error}")
                continue
            found += future.result()
            if not piped:
                records.append(output, future.result())
            bar(number / len(missing), f"{futures[future].name} is done")
    if piped:
        write_text(output, "--output", records.text(found, header=True))
    _report(points, found)
    if failed is not None:
        raise typer.Exit(1)


def measured(point: Point | LayerPoint) -> list[Record]:
    """Records of a point."""
    return point.measure() if isinstance(point, LayerPoint) else measure(point)


def _builds(
    mode_sets: list[str],
    exponent_bits: Sequence[int | None],
    shapes: list[tuple[int, int]],
    k_maxes: list[int],
    dsp: bool,
) -> list[BuildSpec]:
    """A build for every combination of the arguments.

    A set of modes that names its exponent bits is built with these.
    """
    builds = []
    with named_options(mode="--modes", rows="--size", cols="--size"):
        for text in mode_sets:
            names = parse_modes(text)
            states = any(name not in MODE_NAMES for name in names)
            given = exponent_bits or [None if states else EXPONENT_BITS]
            for bits, (rows, cols), k_max in itertools.product(given, shapes, k_maxes):
                builds.append(BuildSpec.of(names, bits, rows=rows, cols=cols, k_max=k_max, dsp=dsp))
    return builds


def _grid(
    units: list[str], builds: list[BuildSpec], targets: list[str], seeds: list[int | None]
) -> Iterator[Point]:
    for target in targets:
        if target not in PLACED and seeds != [None]:
            raise ValueError(f"--seed: expected --target {' or '.join(PLACED)}, got {target}")
    for unit, build, target, seed in itertools.product(units, builds, targets, seeds):
        yield Point(unit, build, target, seed)


def _layers(models: list[str], builds: list[BuildSpec]) -> Iterator[LayerPoint]:
    """A measurement of every model's layer in each mode of each build, one mode at a time."""
    for model, build in itertools.product(models, builds):
        for name in build.modes:
            yield LayerPoint(model, replace(build, modes=(name,), dsp=True))


def _size(text: str) -> tuple[int, int]:
    parts = text.split("x")
    if len(parts) != 2 or not all(part.isdigit() and int(part) for part in parts):
        raise ValueError(f"--size: expected rows x columns as 8x8, got {text!r}")
    return int(parts[0]), int(parts[1])


def _report(points: list[Point | LayerPoint], found: list[Record]) -> None:
    kinds = list(dict.fromkeys(record.name.rpartition("/")[2] for record in found))
    table = Table()
    table.add_column("build", no_wrap=True)
    for kind in kinds:
        table.add_column(kind, justify="right")
    values: dict[str, dict[str, Any]] = {}
    for record in found:
        build, _, kind = record.name.rpartition("/")
        values.setdefault(build, {})[kind] = record.value
    for build in dict.fromkeys(point.path for point in points):
        row = values.get(build, {})
        table.add_row(
            build,
            *(f"{row[kind]:,.1f}".removesuffix(".0") if kind in row else "" for kind in kinds),
        )
    out.show(table)
