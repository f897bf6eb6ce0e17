"""The grid of trained models: one cell per format and task, recorded as a line of a file."""

import json
import warnings
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.bert.statistics import stored_bytes
from golden.spec.modes import Mode, mode
from golden.tasks.glue import task_of
from scripts import lines
from scripts.console import Silent
from scripts.eval.accuracy import of_float, of_model, read
from scripts.eval.encoders import FLOAT
from scripts.eval.trainer import fine_tuned, load_trainer, training_device
from scripts.workers import processes
from sim.cache import cache_folder


@dataclass(frozen=True)
class Row:
    """A row of the table, with the format of its linear GEMMs."""

    name: str
    mode_name: str
    exponent_bits: int = 4
    bits: int | None = None
    clip: bool = True

    @property
    def mode(self) -> Mode:
        """The mode in which golden runs the row's models."""
        return mode(self.mode_name, self.exponent_bits)


def _linear(bits: int, clip: bool) -> Row:
    name = f"{bits} bits, {'clipped' if clip else 'direct'}"
    return (
        Row(name, "w4a4", bits=bits, clip=clip)
        if bits == 4
        else Row(name, "w8a8", bits=bits, clip=clip)
    )


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
"""All rows but FP32, by name.

`N bits` means weights and activations of N bits: 4 bits run in w4a4, 5 to 8 bits in w8a8.
"""


@dataclass(frozen=True)
class Cell:
    """One model to train and measure; `row` is a name in ROWS, or fp32."""

    task: str
    row: str
    seed: int = 0

    def of(self, record: dict[str, Any]) -> bool:
        """Whether a record belongs to this cell."""
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
    """Run the cells that have no record in the file `records`, and append a record of each.

    An earlier record is used only if its `limit` is the same, and its `epochs` too if `epochs` is
    given. FP32 models are trained first, because the others start from them. The training of an
    interrupted cell continues from its last saved state. An exception in one cell is raised after
    the other cells of its group (FP32 or quantized) are done.
    """
    lines.mend(records, whole)
    found = [record for record in read_records(records) if _as_asked(record, limit, epochs)]
    missing = [cell for cell in cells if not any(cell.of(record) for record in found)]
    for task in dict.fromkeys(cell.task for cell in missing):
        for split in ("train", "dev"):
            read(task, glue, split, limit)  # Raises an error before any training starts.
    needed = [cell for cell in missing if cell.row == FLOAT]
    needed += [
        each
        for each in dict.fromkeys(Cell(cell.task, FLOAT, cell.seed) for cell in missing)
        if each not in needed
    ]
    done = 0
    error: BaseException | None = None
    with processes(workers, tasks_per_process=1) as pool:
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
                    # The saved states of its training are not needed any more.
                    pattern = _state(cell, "*")
                    for state in pattern.parent.glob(pattern.name):
                        state.unlink(missing_ok=True)
                if progress is not None:
                    progress(done, len(missing), cell)
            if error is not None:
                raise error


def _as_asked(record: dict[str, Any], limit: int | None, epochs: float | None) -> bool:
    """Whether a record has this `limit`, and these `epochs` unless they are None."""
    trained = record.get("epochs", epochs)
    return record.get("limit") == limit and (epochs is None or trained == epochs)


def run_cell(
    cell: Cell, glue: Path, limit: int | None = None, epochs: float | None = None
) -> dict[str, Any]:
    """Train and measure one cell; return its record, with figures in percent on the dev split."""
    # No user reads the warnings of a worker process.
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
    settings = recipes.changed(
        recipes.quantized_settings(row.mode, cell.seed), epochs=epochs, rate=None
    )
    recipe = recipes.Recipe(cell.task, row.mode, row.bits, row.clip, settings=settings)
    post = of_model(cell.task, recipes.start_of(recipe, train, folder), dev, bar)
    state = _state(cell, recipes.training_key(recipe, train, folder)[:16])
    model, _ = recipes.quantize_aware(recipe, train, folder, state=state, device=device)
    record |= {"post": post, "trained": of_model(cell.task, model, dev, bar)}
    return record | {
        "weight_bytes": stored_bytes(model),
        "epochs": settings.epochs,
        "rate": settings.rate,
        "examples": len(dev),
    }


def _state(cell: Cell, key: str) -> Path:
    """File from which the training of a cell continues; `key` depends on its settings."""
    name = f"{cell.task}-{cell.row.replace(', ', '-').replace(' ', '-')}-{cell.seed}-{key}.state"
    return cache_folder() / "training" / name


def read_records(path: Path) -> list[dict[str, Any]]:
    """The records in a file, none if it does not exist.

    An incomplete last line is skipped with a message on stderr. Raises ValueError, with file and
    line, for a complete line that is not a record.
    """
    records = []
    for number, line in enumerate(lines.read(path, whole), 1):
        try:
            record = json.loads(line)
            _check(record)
            records.append(
                {"task": record["task"], "row": record["row"], "seed": record["seed"], **record}
            )
        except (ValueError, KeyError, TypeError):
            raise ValueError(
                f"{path}:{number}: expected a record of task, row and seed, got {line[:40]!r}"
            ) from None
    return records


def _check(record: Any) -> None:
    """Raise KeyError, TypeError or ValueError for a record without the figures of the tables."""
    for when in ("trained", "post") if "post" in record else ("trained",):
        float(record[when][task_of(record["task"]).metrics[0]])


def append(path: Path, record: dict[str, Any]) -> None:
    """Append a record as one line, all of it or nothing; several processes may append at once."""
    lines.append(path, whole, lambda first: json.dumps(record) + "\n")


def whole(content: bytes) -> bytes:
    """The complete records in `content`, each with its newline.

    A last record that lacks only the newline is complete and gets one. Raises ValueError if the
    first line does not begin like a record.
    """
    kept, first = lines.whole_lines(content), lines.first_line(content)
    if not first.startswith(_BEGIN) and (kept or not _BEGIN.startswith(first)):
        raise ValueError(f"expected a record of task, row and seed, got {first[:40]!r}")
    last = content[len(kept) :]
    try:
        return content + b"\n" if isinstance(json.loads(last), dict) else kept
    except ValueError:
        return kept


_BEGIN = '{"task": "'


def find(records: Iterable[dict[str, Any]], cell: Cell) -> dict[str, Any] | None:
    """The latest record of a cell, or None."""
    found = [record for record in records if cell.of(record)]
    return found[-1] if found else None
