"""`tilebert gemm`: one GEMM on codes from files, on golden or on the simulated hardware."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from golden.numeric.codec import check_codes
from golden.numeric.requantize import BIAS_MAX, BIAS_MIN, MULT_MAX, SHIFT_MAX, SHIFT_MIN, column
from golden.schedule.backend import golden_backend
from golden.schedule.job import Epilogue, Job
from golden.spec.formats import Piecewise
from golden.spec.modes import Mode
from hw.buildspec import BuildSpec
from scripts import options
from scripts.builds import with_build
from scripts.console import err, out, progress
from scripts.files import check_places, check_stdin, read_array, write_array, write_json
from sim.build import build as build_simulator
from sim.compare import Comparison, compare
from sim.simulation import GroupResult, Run, simulate


@with_build("mode", "exponent_bits", "k_max", "rows", "cols")
def gemm(
    x: Annotated[Path, typer.Option("--x", help="Codes of x, [M, K], .npy.")],
    w: Annotated[Path, typer.Option("--w", help="Codes of w, [K, N], .npy.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where y goes, .npy.")],
    build: BuildSpec,
    ratio: Annotated[int, typer.Option(help="Ratio of the scales of piece-wise codes, 1..63.")] = 9,
    offset: Annotated[
        int | None, typer.Option(help="Offset of piece-wise codes, 0..63; rint(63/ratio).")
    ] = None,
    bias: Annotated[Path | None, typer.Option(help="Bias of each column, [N], .npy.")] = None,
    mult: Annotated[
        Path | None, typer.Option(help="Multiplier of each column: requantize.")
    ] = None,
    shift: Annotated[Path | None, typer.Option(help="Shift of each column.")] = None,
    bits: Annotated[int, typer.Option(help="Bits of requantized results: 8 or 4.")] = 8,
    backend: Annotated[options.Backend, typer.Option(help="What computes it.")] = "golden",
    simulator: options.Simulator = "verilator",
    json_file: options.JsonFile = None,
) -> None:
    """Compute y = x @ w (+ bias, requantized with --mult and --shift) and write it.

    With --backend rtl both the simulated hardware and golden compute y, and every result is
    compared. Any difference ends with exit status 1, and y is not written.
    """
    check_stdin(x=x, w=w, bias=bias, mult=mult, shift=shift)
    check_places(output=output, json=json_file)
    config = build.config
    if backend == "rtl":
        options.check_size(config, "simulate")
    chosen = _mode(build.first_mode, ratio, offset)
    job = _job(chosen, x, w, build.k_max, bias, mult, shift, bits)
    (y,) = golden_backend([job], build.k_max)
    m, k, n = job.shape
    record: dict[str, Any] = {"mode": job.mode.name, "backend": backend}
    record |= {"rows": build.rows, "cols": build.cols, "m": m, "k": k, "n": n}
    comparison = None
    if backend == "rtl":
        with progress() as bar:
            bar.stage("building")
            built = build_simulator(config, simulator)
            bar.stage("simulating")
            run = simulate(built, [[job]], progress=bar)
        (group,) = run.groups
        comparison = compare(y, group.y[0])
        record |= _measured(group, comparison, run)
        record |= {**built.digests, "simulator": simulator}
    if comparison is None or comparison.exact:
        write_array(output, "--output", y)
    write_json(json_file, record)
    if comparison is not None:
        if not comparison.exact:
            err.say(f"tilebert: gemm: {comparison}")
            raise typer.Exit(1)
        out.say(f"{comparison}; {record['cycles']} cycles, utilization {record['utilization']:.1%}")


def _mode(chosen: Mode, ratio: int, offset: int | None) -> Mode:
    """The mode, with this ratio and offset if its w codes are piece-wise."""
    for name, value, least in (("ratio", ratio, 1), ("offset", offset, 0)):
        if value is not None and not least <= value <= 63:
            raise ValueError(f"--{name}: expected {least}..63, got {value}")
    if not isinstance(chosen.w_format, Piecewise):
        return chosen
    fmt = Piecewise(ratio) if offset is None else Piecewise(ratio, offset)
    return replace(chosen, w_format=fmt)


def _job(
    chosen: Mode,
    x_file: Path,
    w_file: Path,
    k_max: int,
    bias_file: Path | None,
    mult_file: Path | None,
    shift_file: Path | None,
    bits: int,
) -> Job:
    """Read and check the operands."""
    x, w = read_array(x_file, "--x", 2), read_array(w_file, "--w", 2)
    check_codes(x, chosen.x_format, "--x")
    check_codes(w, chosen.w_format, "--w")
    if x.shape[1] != w.shape[0]:
        raise ValueError(f"--w: expected K = {x.shape[1]} rows to match --x, got {w.shape[0]}")
    if x.shape[1] > k_max:
        raise ValueError(f"--k-max: expected K of 1..{k_max}, got {x.shape[1]}")
    if bits not in (8, 4):
        raise ValueError(f"--bits: expected 8 or 4, got {bits}")
    if (mult_file is None) != (shift_file is None):
        given, missing = ("--mult", "--shift") if shift_file is None else ("--shift", "--mult")
        raise ValueError(f"{missing}: expected with {given}, got none")
    n = w.shape[1]
    bias = _column(bias_file, n, BIAS_MIN, BIAS_MAX, "--bias")
    mult = _column(mult_file, n, 0, MULT_MAX, "--mult")
    shift = _column(shift_file, n, SHIFT_MIN, SHIFT_MAX, "--shift")
    epilogue = Epilogue(mult, shift, bits) if mult is not None and shift is not None else None
    return Job("gemm", chosen, x, w, bias, epilogue)


def _column(
    file: Path | None, n: int, low: int, high: int, option: str
) -> NDArray[np.int32] | None:
    if file is None:
        return None
    return column(read_array(file, option, 1), n, low, high, option).astype(np.int32)


def _measured(group: GroupResult, comparison: Comparison, run: Run) -> dict[str, Any]:
    return {
        "cycles": group.cycles,
        "utilization": group.utilization,
        "mismatches": comparison.mismatches,
        "bit_exact": comparison.exact,
        "seconds": run.seconds,
    }
