"""GLUE's tasks: where their files are, what the columns mean, and the rows as examples.

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
"""Scores of STS-B reach from 0 (unrelated) to this (same meaning)."""

_ENTAILMENT = {"entailment": 0, "not_entailment": 1, "0": 0, "1": 1}
_BINARY = {"0": 0, "1": 1}


@dataclass(frozen=True)
class Example:
    """A sentence or a pair of them, and what people said of it: a class 0, 1, ..., or a score 0..5."""

    first: str
    second: str | None
    label: float


@dataclass(frozen=True)
class Task:
    """A task: `folder` of its files, columns by name, classes by their names in the file (none: a score).

    `metrics` are names in golden.tasks.metrics.METRICS, the one that is quoted first. `broken`:
    the published files have rows that are cut or empty, which are skipped; in the others such a row
    is an error.
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
        """Numbers that a model's head gives: one for each class, or the score."""
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
"""By name."""

SIMILARITY = "similarity"
"""STS-B without a head: the cosine of two sentences' vectors is the score."""

TASK_NAMES = (SIMILARITY, *TASKS)


def task_of(name: str) -> Task:
    """Files and metrics of a task (TASK_NAMES); raises ValueError that lists them for another name."""
    if name not in TASK_NAMES:
        raise ValueError(f"--task: expected one of {', '.join(TASK_NAMES)}, got {name!r}")
    return TASKS["sts-b" if name == SIMILARITY else name]


def read_examples(task: Task, folder: Path, split: str = "dev") -> list[Example]:
    """Examples of a split (`train` or `dev`) of folder/<task.folder>.

    Reads <split>.tsv, unquoted; STS-B also <split>.csv, three quoted columns (sentence, sentence,
    score) without a header, if it is there. Raises FileNotFoundError for a file that is not,
    ValueError that names file and line for a malformed row. Warns instead, of how many, where a
    task has `broken` rows.
    """
    place = folder / task.folder
    table, tabbed = (place / f"{split}.{ending}" for ending in ("csv", "tsv"))
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
    """Rows of a file whose first one is the header, unless there is one already."""
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
                # Text of another encoding is none of the rows that a task's files are known to
                # have.
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
    """What `read` returns; its errors name file and line."""
    try:
        return read()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}:{rows.line_num + 1}: expected UTF-8") from error
    except (csv.Error, ValueError) as error:
        raise ValueError(f"{path}:{rows.line_num}: {error}") from None


def _next(rows: Any, task: Task, header: Sequence[str]) -> Example | None:
    """The next row's example, None after the last."""
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
