"""`tilebert table`: metrics of every format on every task, before and after training."""

import os
import re
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from golden.tasks.glue import TASK_NAMES, task_of
from scripts import options
from scripts.console import err, out, progress
from scripts.eval import grid
from scripts.eval.encoders import FLOAT
from scripts.eval.grid import ROWS, Cell
from scripts.files import check_file, check_folder, check_place, make_folder, read_text, write_text

TASKS = ("similarity", "sts-b", "mrpc", "rte", "cola")

NOT_RUN = "not run"

BEGIN, END = "<!-- trained: begin -->", "<!-- trained: end -->"
"""Lines of the page that enclose the table."""

BASELINES = {"sts-b": 89.62, "mrpc": 90.00, "rte": 69.70, "cola": 58.48}
"""FP32 BERT-base in Q8BERT (arXiv:1910.06188), table 1."""

Q8BERT = {"sts-b": 89.04, "mrpc": 89.56, "rte": 68.78, "cola": 58.48}
"""The 8-bit model of Q8BERT, from the same table."""

_DIRECT = {
    "mrpc": (89.16, 85.14, 83.2, 79.53, 81.22),
    "rte": (64.98, 58.48, 53.43, 52.35, 52.7),
    "sts-b": (88.52, 87.27, 82.27, 63.77, 11.56),
    "cola": (56.24, 50.24, 0.0),
}
_CLIPPED = {
    "mrpc": (89.12, 89.86, 86.61, 83.2, 80.5),
    "rte": (65.7, 63.18, 59.21, 58.12, 47.65),
    "sts-b": (88.67, 87.6, 86.76, 81.4, 25.52),
    "cola": (57.06, 51.55, 27.52),
}
DING = {
    (task, f"{bits} bits, {name}"): figure
    for name, figures in (("direct", _DIRECT), ("clipped", _CLIPPED))
    for task, row in figures.items()
    for bits, figure in zip((8, 7, 6, 5, 4), row, strict=False)
}
"""BERT-base trained in 8 to 4 bits: Ding et al., table 1."""


def table(
    glue: options.Glue,
    task: Annotated[
        list[str] | None,
        typer.Option("--task", help="A task; several may be named. By default five."),
    ] = None,
    row: Annotated[
        list[str] | None,
        typer.Option("--row", help="A row, as the table has it; several may be named."),
    ] = None,
    records: Annotated[
        Path, typer.Option(help="File of what has been run; cells in it are not run again.")
    ] = Path("docs/data/trained.jsonl"),
    page: Annotated[
        Path | None, typer.Option(help="Page whose table to replace, between its two marks.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder for the plot; made if missing.")
    ] = None,
    show: Annotated[
        bool, typer.Option("--show", help="Run nothing, show what has been run.")
    ] = False,
    seed: options.TrainingSeed = 0,
    epochs: options.Epochs = None,
    limit: options.TrainLimit = None,
    workers: Annotated[int, typer.Option(help="Processes that train; 0: one per core.")] = 0,
) -> None:
    """Train and measure every task in every format: the metric before and after training.

    The record of each cell is kept as soon as the cell is done. If the command is interrupted, the
    same command continues, even in the middle of a cell's training.
    """
    tasks, rows = tuple(task or TASKS), tuple(row or (FLOAT, *ROWS))
    for name in tasks:
        task_of(name)
    for name in rows:
        if name not in (FLOAT, *ROWS):
            raise ValueError(f"--row: expected one of {'; '.join((FLOAT, *ROWS))}, got {name!r}")
    if workers < 0:
        raise ValueError(f"--workers: expected 0 or more, got {workers}")
    options.check_training(epochs, None, limit)
    check_file(records, "--records")
    check_place(records, "--records")
    check_folder(output, "--output", records=records)
    text = None if page is None else _read_page(page)
    if not show:
        cells = [Cell(name, each, seed) for name in tasks for each in rows]
        with progress() as bar:
            bar.stage(f"{len(cells)} cells")

            def report(done: int, total: int, cell: Cell) -> None:
                bar(done / total, f"{cell.task} in {cell.row} is done, {total - done} to go")
                if not err.is_terminal:
                    err.say(f"{done} of {total}: {cell.task} in {cell.row}")

            grid.run(
                cells,
                glue,
                records,
                workers=workers or os.cpu_count() or 1,
                limit=limit,
                epochs=epochs,
                progress=report,
            )
    found = grid.read_records(records)
    run_before = {record["task"] for record in found if record["seed"] == seed}
    tasks = tuple(name for name in TASK_NAMES if name in run_before or name in tasks)
    out.show(_rich(found, tasks, seed))
    if output is not None:
        from scripts.report import plots

        make_folder(output, "--output")
        if panels := _panels(found, tasks, seed):
            plots.write(output / "trained.png", plots.trained(panels, tuple(ROWS)))
    if page is not None and text is not None:
        write_text(page, "--page", _replaced(text, markdown(found, tasks, seed)))


def markdown(records: list[dict[str, Any]], tasks: tuple[str, ...], seed: int = 0) -> str:
    """The table in Markdown, followed by figures from the literature."""
    heads = [f"{name}, {task_of(name).metrics[0]}" for name in tasks]
    lines = [f"| format | weights, kB | {' | '.join(heads)} |", f"|---|---|{'---|' * len(tasks)}"]
    for row in (FLOAT, *ROWS):
        cells = [grid.find(records, Cell(name, row, seed)) for name in tasks]
        sizes = {record["weight_bytes"] for record in cells if record and "weight_bytes" in record}
        size = f"{sizes.pop() / 1e3:,.0f}" if sizes else ""
        texts = [_text(record, name) for record, name in zip(cells, tasks, strict=True)]
        lines.append(f"| {row} | {size} | {' | '.join(texts)} |")
    published = [name for name in tasks if name in BASELINES]
    lines += [
        "",
        f"| published, BERT-base | {' | '.join(published)} |",
        f"|---|{'---|' * len(published)}",
    ]
    for label, figures in (("fp32", BASELINES), ("8 bits, Q8BERT", Q8BERT)):
        lines.append(f"| {label} | {' | '.join(f'{figures[name]:.2f}' for name in published)} |")
    for row in dict.fromkeys(row for _, row in DING):
        texts = [f"{DING[name, row]:.2f}" if (name, row) in DING else "" for name in published]
        lines.append(f"| {row}, Ding et al. | {' | '.join(texts)} |")
    return "\n".join(lines)


def _text(record: dict[str, Any] | None, task: str) -> str:
    if record is None:
        return NOT_RUN
    metric = task_of(task).metrics[0]
    figures = [f"{record[when][metric]:.2f}" for when in ("post", "trained") if when in record]
    one = record["trained"].get("classes") == 1
    return " → ".join(figures) + (" (one class)" if one else "")


def _rich(records: list[dict[str, Any]], tasks: tuple[str, ...], seed: int) -> Table:
    result = Table(title="Post-training → trained, in percent, on dev")
    result.add_column("format", no_wrap=True)
    for name in tasks:
        result.add_column(f"{name}\n{task_of(name).metrics[0]}", justify="right", no_wrap=True)
    for row in (FLOAT, *ROWS):
        cells = (grid.find(records, Cell(name, row, seed)) for name in tasks)
        result.add_row(
            row, *(_text(record, name) for record, name in zip(cells, tasks, strict=True))
        )
    return result


def _panels(
    records: list[dict[str, Any]], tasks: tuple[str, ...], seed: int
) -> dict[str, dict[str, tuple[float | None, float]]]:
    """(metric before training, metric after it) by panel title and row; None before, for FP32."""
    panels: dict[str, dict[str, tuple[float | None, float]]] = {}
    for name in tasks:
        metric = task_of(name).metrics[0]
        rows = {}
        for row in (FLOAT, *ROWS):
            record = grid.find(records, Cell(name, row, seed))
            if record is not None:
                before = record["post"][metric] if "post" in record else None
                rows[row] = (before, record["trained"][metric])
        if rows.keys() - {FLOAT}:
            panels[f"{name}, {metric}"] = rows
    return panels


def _read_page(page: Path) -> str:
    text = read_text(page, "--page", "a page")
    if BEGIN not in text or END not in text:
        raise ValueError(f"--page: expected the lines {BEGIN} and {END}, got {page} without")
    return text


def _replaced(text: str, content: str) -> str:
    pattern = re.compile(f"{re.escape(BEGIN)}.*?{re.escape(END)}", re.DOTALL)
    return pattern.sub(lambda _: f"{BEGIN}\n{content}\n{END}", text)
