"""The figures of the report, gathered from the output files of other commands."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.spec.modes import Mode, mode
from golden.tasks.glue import task_of
from hw.buildspec import BuildSpec
from hw.flow.registry import Point
from scripts import records
from scripts.eval import grid
from scripts.eval.encoders import FLOAT
from scripts.eval.grid import Cell


@dataclass(frozen=True)
class Subject:
    """A format of the linear GEMMs, with its mode and its row in the table of trained models."""

    label: str
    mode_name: str
    row: str
    exponent_bits: int = 4

    @property
    def mode(self) -> Mode:
        """The mode, which determines how many products a PE forms per cycle."""
        return mode(self.mode_name, self.exponent_bits)


SUBJECTS = (
    Subject("w8a8", "w8a8", "8 bits, clipped"),
    Subject("w4a8", "w4a8", "w4a8"),
    Subject("w4a4", "w4a4", "4 bits, clipped"),
    Subject("wlog-a8, 3", "wlog-a8", "wlog-a8, 3", 3),
    Subject("wlog-a8, 4", "wlog-a8", "wlog-a8, 4"),
    Subject("wlog-alog, 4", "wlog-alog", "wlog-alog, 4"),
    Subject("wpw-a8", "wpw-a8", "wpw-a8"),
)

SIZE = 8
"""Rows and columns of the arrays that are compared."""


@dataclass(frozen=True)
class Cost:
    """The cost of a SIZE x SIZE array for one format.

    It contains cells per product and cycle, and MHz and GOPS of the slowest seed (None: not run).
    """

    dsp: bool
    comb_per_mac: float
    ff_per_mac: float | None
    mhz: float | None
    gops: float | None


@dataclass(frozen=True)
class Evidence:
    """All figures that were found; those that were not run are empty."""

    task: str
    metric: str
    float_figure: float | None
    accuracy: dict[str, tuple[float | None, float]]
    costs: dict[str, list[Cost]]
    benches: list[dict[str, Any]]
    sign_offs: list[dict[str, Any]]
    histograms: dict[str, Any]


def gather(
    task: str,
    trained: Path,
    cells: Path,
    benches: Sequence[Path],
    sign_offs: Sequence[Path],
    histograms: Path,
) -> Evidence:
    """Read the files that exist; raises ValueError that names a damaged file."""
    metric = task_of(task).metrics[0]
    found = grid.read_records(trained)
    base = grid.find(found, Cell(task, FLOAT))
    accuracy = {}
    for subject in SUBJECTS:
        record = grid.find(found, Cell(task, subject.row))
        if record is not None:
            before = record["post"][metric] if "post" in record else None
            accuracy[subject.label] = (before, record["trained"][metric])
    values = {record.name: record.value for record in records.read(cells)}
    return Evidence(
        task,
        metric,
        None if base is None else base["trained"][metric],
        accuracy,
        {subject.label: _costs(subject, values) for subject in SUBJECTS},
        [_read(path, "bench", _of_bench) for path in benches if path.exists()],
        [_read(path, "synth --pnr", _of_sign_off) for path in sign_offs if path.exists()],
        _read(histograms, "formats", _of_histograms) if histograms.exists() else {},
    )


def _costs(subject: Subject, values: dict[str, float]) -> list[Cost]:
    costs = []
    for dsp in (True, False):
        spec = BuildSpec.of(
            [subject.mode_name], subject.exponent_bits, rows=SIZE, cols=SIZE, dsp=dsp
        )
        build = Point("array", spec).path
        comb = values.get(f"{build}/COMB")
        # A log2 array has no multipliers, so it uses no DSP blocks even if `dsp` is set.
        if comb is None or (dsp and not values.get(f"{build}/DSP")):
            if dsp and comb is not None:
                costs.append(_cost(subject, values, build, comb, False))
            continue
        costs.append(_cost(subject, values, build, comb, dsp))
    return costs


def _cost(subject: Subject, values: dict[str, float], build: str, comb: float, dsp: bool) -> Cost:
    products = SIZE * SIZE * subject.mode.products
    speeds = [value for name, value in values.items() if name.startswith(f"{build}/fmax-")]
    mhz = min(speeds) if speeds else None
    ff = values.get(f"{build}/FF")
    return Cost(
        dsp,
        comb / products,
        None if ff is None else ff / products,
        mhz,
        None if mhz is None else 2 * products * mhz / 1000,
    )


def _read(path: Path, command: str, check: Callable[[Any], object]) -> Any:
    """The JSON output of a command; `check` accesses all that the report needs from it."""
    try:
        record = json.loads(path.read_bytes())
    except (ValueError, OSError) as error:
        raise ValueError(f"{path}: expected JSON ({error})") from None
    try:
        check(record)
    except (LookupError, TypeError, ValueError, AttributeError, StopIteration) as error:
        raise ValueError(
            f"{path}: expected the JSON of `{command}`, got another ({type(error).__name__}: "
            f"{error})"
        ) from None
    return record


def _of_bench(record: Any) -> None:
    _ = [record[name] for name in ("model", "tokens", "mode", "rows", "cols", "bus")]
    float(next(each for each in record["results"] if each["gemm"] == "layer")["utilization"])


def _of_sign_off(record: Any) -> None:
    _ = record["unit"], record["device"], int(record["rows"]) * int(record["cols"])
    for name in record["modes"]:
        mode(name, record["exponent_bits"])
    _ = [float(record["cells"][name]) for name in ("COMB", "FF", "DSP", "BRAM")]
    _ = [float(cells["COMB"]) for cells in record["cells_by_unit"].values()]
    _ = [float(mhz) for mhz in record["fmax_mhz"].values()]


def _of_histograms(record: Any) -> None:
    edges = [float(edge) for edge in record["relative_error_edges"]]
    for each in record["weight_errors"].values():
        _ = float(each["below"]), float(each["above"])
        if len(each["counts"]) != len(edges) - 1:
            raise ValueError(f"{len(each['counts'])} counts between {len(edges)} edges")
    for each in record["code_usage"].values():
        _ = [float(count) for count in each["counts"]]
