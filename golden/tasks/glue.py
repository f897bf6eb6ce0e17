"""GLUE tasks: their files, their columns and metrics, and a reader of examples.

GLUE: Wang et al., arXiv:1804.07461. The files are GLUE's own; a header names the columns, except in
CoLA.
"""

import csv
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

__all__ = [
    "MAX_SCORE",
    "SIMILARITY",
    "TASKS",
    "TASK_NAMES",
    "Example",
    "T",
    "Task",
    "read_examples",
    "task_of",
]

T = TypeVar("T")

MAX_SCORE = 5.0
"""Highest score of STS-B (same meaning); the lowest, 0, means unrelated."""

_ENTAILMENT = {"entailment": 0, "not_entailment": 1, "0": 0, "1": 1}
_BINARY = {"0": 0, "1": 1}


@dataclass(frozen=True)
class Example:
    """A sentence or a pair of sentences with its label: a class 0, 1, ... or a score 0..5."""

    first: str
    second: str | None
    label: float


@dataclass(frozen=True)
class Task:
    """A GLUE task.

    `folder` is the folder of its files. `sentences` and `label` are column names, `header` the
    columns of a file without a header. `classes` maps class names in the file to numbers; it is
    empty for a task with scores. `metrics` are names in golden.tasks.metrics.METRICS, the task's
    main metric first. The published files of `broken` tasks contain truncated or empty rows. The
    reader skips such rows in these tasks; in other tasks they are errors.
    """

    name: str
    folder: str
    sentences: tuple[str, ...]
    label: str
    metrics: tuple[str, ...]
    classes: Mapping[str, int] = field(default_factory=dict)
    header: tuple[str, ...] = ()
    broken: bool = False

    @property
    def outputs(self) -> int:
        """Outputs of a model's head: one per class, or 1 for a score."""
        return len(set(self.classes.values())) or 1


_STS = ("sts-b", "STS-B", ("sentence1", "sentence2"), "score", ("pearson", "spearman"))
_F1 = ("f1", "accuracy")

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        Task(*_STS),
        Task("mrpc", "MRPC", ("#1 String", "#2 String"), "Quality", _F1, _BINARY),
        Task("rte", "RTE", ("sentence1", "sentence2"), "label", ("accuracy",), _ENTAILMENT),
        Task(
            "cola",
            "CoLA",
            ("sentence",),
            "label",
            ("matthews",),
            _BINARY,
            ("source", "label", "star", "sentence"),
        ),
        Task("sst-2", "SST-2", ("sentence",), "label", ("accuracy",), _BINARY),
        Task("qnli", "QNLI", ("question", "sentence"), "label", ("accuracy",), _ENTAILMENT),
        Task("qqp", "QQP", ("question1", "question2"), "is_duplicate", _F1, _BINARY, broken=True),
    )
}
"""Tasks by name."""

SIMILARITY = "similarity"
"""STS-B without a head: the score is the cosine of the two sentence vectors."""

TASK_NAMES = (SIMILARITY, *TASKS)


def task_of(name: str) -> Task:
    """The task of that name (TASK_NAMES).

    Raises ValueError, listing the names, for any other.
    """
    if name not in TASK_NAMES:
        raise ValueError(f"--task: expected one of {', '.join(TASK_NAMES)}, got {name!r}")
    return TASKS["sts-b" if name == SIMILARITY else name]


def read_examples(task: Task, folder: Path, split: str = "dev") -> list[Example]:
    """Examples of a split (`train` or `dev`) from folder/<task.folder>.

    Reads <split>.tsv, unquoted. STS-B may instead have <split>.csv: three quoted columns (sentence,
    sentence, score) without a header. Raises FileNotFoundError for a missing file, and ValueError
    with file and line for a malformed row. For tasks with `broken` rows it skips these and warns of
    their number.
    """
    files = folder / task.folder
    table, tabbed = (files / f"{split}.{ending}" for ending in ("csv", "tsv"))
    if not task.classes and table.exists():
        return _read(table, csv.excel, task, (*task.sentences, task.label))
    if tabbed.exists():
        return _read(tabbed, _Tabbed, task, task.header)
    names = [
        f"{task.folder}/{path.name}" for path in ((tabbed,) if task.classes else (table, tabbed))
    ]
    found = "none" if task.classes else "neither"
    raise FileNotFoundError(f"{folder}: expected {' or '.join(names)}, found {found}")


class _Tabbed(csv.excel_tab):
    quoting = csv.QUOTE_NONE


def _read(
    path: Path, dialect: type[csv.Dialect], task: Task, header: Sequence[str]
) -> list[Example]:
    """Rows of a file; its first row is the header unless `header` is given."""
    examples: list[Example] = []
    broken: list[str] = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, dialect, strict=True)
        if not header:
            header = _named(path, rows, lambda: next(rows, []))
            if not header:
                raise ValueError(f"{path}: expected rows, got none")
            if missing := [name for name in (*task.sentences, task.label) if name not in header]:
                got = ", ".join(header)
                raise ValueError(
                    f"{path}:{rows.line_num}: expected a column {missing[0]!r}, got {got}"
                )
        while True:
            try:
                example = _named(path, rows, lambda: _next(rows, task, header))
            except ValueError as error:
                # The published files are UTF-8: another encoding is an error in every task.
                if not task.broken or isinstance(error.__cause__, UnicodeDecodeError):
                    raise
                broken.append(str(error))
                continue
            if example is None:
                break
            examples.append(example)
    if not examples:
        raise ValueError(f"{path}: expected rows, got none" if not broken else broken[0])
    if broken:
        total = len(examples) + len(broken)
        warnings.warn(
            f"{path}: {len(broken)} of {total} rows skipped, the first: {broken[0]}", stacklevel=3
        )
    return examples


def _named(path: Path, rows: Any, read: Callable[[], T]) -> T:
    """Result of `read`; its errors are raised with file and line."""
    try:
        return read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}:{rows.line_num + 1}: expected UTF-8") from error
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{path}:{rows.line_num}: {error}") from None


def _next(rows: Any, task: Task, header: Sequence[str]) -> Example | None:
    """Example of the next row, None at the end."""
    row = next(rows, None)
    return None if row is None else _example(row, task, header)


def _example(row: Sequence[str], task: Task, header: Sequence[str]) -> Example:
    if len(row) != len(header):
        raise ValueError(f"expected {len(header)} columns, got {len(row)}")
    fields = dict(zip(header, row, strict=True))
    sentences = [fields[name] for name in task.sentences]
    if not all(sentence.strip() for sentence in sentences):
        raise ValueError(
            f"expected {'two sentences' if len(sentences) == 2 else 'a sentence'}, got an empty one"
        )
    second = sentences[1] if len(sentences) == 2 else None
    return Example(sentences[0], second, _label(fields[task.label], task))


def _label(text: str, task: Task) -> float:
    if task.classes:
        if text not in task.classes:
            raise ValueError(
                f"{task.label}: expected one of {', '.join(task.classes)}, got {text!r}"
            )
        return task.classes[text]
    try:
        score = float(text)
    except ValueError:
        raise ValueError(f"{task.label}: expected a number, got {text!r}") from None
    if not 0 <= score <= MAX_SCORE:
        raise ValueError(f"{task.label}: expected 0..{MAX_SCORE:g}, got {text!r}")
    return score
