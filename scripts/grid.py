"""The grid of trained models: formats by tasks, each cell run once and kept as a line of a file."""

import json
import os
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from golden.glue import task_of
from golden.modes import Mode, mode
from golden.statistics import stored_bytes
from scripts.accuracy import of_float, of_model, read
from scripts.console import Silent
from scripts.eval import FLOAT
from scripts.train import fine_tuned, load_trainer, training_device
from sim.toolchain import cache_folder


@dataclass(frozen=True)
class Row:
    """A format of the linear GEMMs, by the name that the table has it under."""

    name: str
    mode_name: str
    exponent_bits: int = 4
    bits: int | None = None
    clip: bool = True

    @property
    def mode(self) -> Mode:
        """What golden runs it in."""
        return mode(self.mode_name, self.exponent_bits)


def _linear(bits: int, clip: bool) -> Row:
    name = f"{bits} bits, {'clipped' if clip else 'direct'}"
    return Row(name, "w4a4", bits=bits, clip=clip) if bits == 4 else Row(name, "w8a8", bits=bits, clip=clip)


ROWS: dict[str, Row] = {
    row.name: row
    for row in (
        *(_linear(bits, clip) for bits in (8, 7, 6, 5, 4) for clip in (False, True)),
        Row("w4a8", "w4a8"),
        Row("wlog-a8, 3", "wlog-a8", 3),
        Row("wlog-a8, 4", "wlog-a8", 4),
        Row("wlog-alog, 4", "wlog-alog", 4),
        Row("wpw-a8", "wpw-a8"),
    )
}
"""Beside FP32. b bits are weights and activations of b bits: 4 run as w4a4, 5 to 8 in w8a8."""


@dataclass(frozen=True)
class Cell:
    """One model to train and measure; `row` is a name in ROWS, or fp32."""

    task: str
    row: str
    seed: int = 0

    def of(self, record: dict[str, Any]) -> bool:
        """Whether a record is this cell's."""
        return (record["task"], record["row"], record["seed"]) == (self.task, self.row, self.seed)


def run(
    cells: Sequence[Cell],
    glue: Path,
    records: Path,
    *,
    workers: int = 1,
    limit: int | None = None,
    epochs: float | None = None,
    progress: Callable[[int, int, Cell], None] | None = None,
) -> None:
    """Append a record of each cell that has none to the file; raises what a cell raises, after the others.

    FP32 models come first, because the others start from them. A cell that was interrupted goes on where it was.
    """
    missing = [cell for cell in cells if not any(cell.of(record) for record in read_records(records))]
    needed = [cell for cell in missing if cell.row == FLOAT]
    needed += [
        each
        for each in dict.fromkeys(Cell(cell.task, FLOAT, cell.seed) for cell in missing)
        if each not in needed
    ]
    done = 0
    error: BaseException | None = None
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    with ProcessPoolExecutor(workers, get_context("spawn"), max_tasks_per_child=1) as pool:
        for part in (needed, [cell for cell in missing if cell.row != FLOAT]):
            futures: dict[Future[Any], Cell] = {
                pool.submit(run_cell, cell, glue, limit, epochs): cell for cell in part
            }
            for future in as_completed(futures):
                cell = futures[future]
                done += 1
                if future.exception() is not None:
                    error = future.exception()
                    continue
                if cell in missing:
                    append(records, future.result())
                if progress is not None:
                    progress(done, len(missing), cell)
            if error is not None:
                raise error


def run_cell(cell: Cell, glue: Path, limit: int | None = None, epochs: float | None = None) -> dict[str, Any]:
    """Train and measure one cell: its record, figures in percent on the dev split."""
    # A pool's worker has nobody to tell.
    warnings.simplefilter("ignore")
    bar = Silent()
    recipes = load_trainer()
    device = training_device("cpu")
    train, dev = (read(cell.task, glue, split, limit) for split in ("train", "dev"))
    folder = fine_tuned(cell.task, train, cell.seed, device, bar)
    record: dict[str, Any] = {"task": cell.task, "row": cell.row, "seed": cell.seed, "limit": limit}
    if cell.row == FLOAT:
        return record | {"trained": of_float(cell.task, folder, dev, bar)}
    row = ROWS[cell.row]
    settings = recipes.changed(recipes.quantized_settings(row.mode, cell.seed), epochs=epochs, rate=None)
    recipe = recipes.Recipe(cell.task, row.mode, row.bits, row.clip, settings=settings)
    post = of_model(cell.task, recipes.start_of(recipe, train, folder), dev, bar)
    name = f"{cell.task}-{cell.row.replace(', ', '-').replace(' ', '-')}-{cell.seed}.state"
    model, _ = recipes.quantize_aware(
        recipe, train, folder, state=cache_folder() / "training" / name, device=device
    )
    record |= {"post": post, "trained": of_model(cell.task, model, dev, bar)}
    return record | {
        "weight_bytes": stored_bytes(model),
        "epochs": settings.epochs,
        "rate": settings.rate,
        "examples": len(dev),
    }


def read_records(path: Path) -> list[dict[str, Any]]:
    """The lines of a file, none if it is not there; raises ValueError that names file and line."""
    if not path.exists():
        return []
    records = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            record = json.loads(line)
            _check(record)
            records.append({"task": record["task"], "row": record["row"], "seed": record["seed"], **record})
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{path}:{number}: expected a record of task, row and seed, got {line[:40]!r}"
            ) from None
    return records


def _check(record: Any) -> None:
    """Raise for a record without the figures that tables show."""
    for when in ("trained", "post") if "post" in record else ("trained",):
        float(record[when][task_of(record["task"]).metrics[0]])


def append(path: Path, record: dict[str, Any]) -> None:
    """One line, whole: several processes may append."""
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")


def find(records: Iterable[dict[str, Any]], cell: Cell) -> dict[str, Any] | None:
    """The cell's record, the latest of several."""
    found = [record for record in records if cell.of(record)]
    return found[-1] if found else None
