"""GLUE's tasks: where their files are, what the columns mean, and the rows as examples.

GLUE: Wang et al., arXiv:1804.07461. The files are GLUE's own; a header names the columns, except in CoLA.
"""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

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

    `metrics` are names in golden.evaluation.METRICS, the one that is quoted first.
    """

    name: str
    folder: str
    sentences: tuple[str, ...]
    label: str
    metrics: tuple[str, ...]
    classes: Mapping[str, int] = field(default_factory=dict)
    header: tuple[str, ...] = ()

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
        Task("qqp", "QQP", ("question1", "question2"), "is_duplicate", _F1, _BINARY),
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

    Reads <split>.tsv, unquoted; STS-B also <split>.csv, three quoted columns (sentence, sentence, score) without a
    header, if it is there. Raises FileNotFoundError for a file that is not, ValueError that names file and line for
    a malformed row.
    """
    place = folder / task.folder
    table, tabbed = (place / f"{split}.{ending}" for ending in ("csv", "tsv"))
    if not task.classes and table.exists():
        return _read(table, csv.excel, task, (*task.sentences, task.label))
    if tabbed.exists():
        return _read(tabbed, _Tabbed, task, task.header)
    names = [f"{task.folder}/{path.name}" for path in ((tabbed,) if task.classes else (table, tabbed))]
    found = "none" if task.classes else "neither"
    raise FileNotFoundError(f"{folder}: expected {' or '.join(names)}, found {found}")


class _Tabbed(csv.excel_tab):
    quoting = csv.QUOTE_NONE


def _read(path: Path, dialect: type[csv.Dialect], task: Task, header: Sequence[str]) -> list[Example]:
    """Rows of a file whose first one is the header, unless there is one already."""
    examples = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, dialect, strict=True)
        try:
            for row in rows:
                if header:
                    examples.append(_example(row, task, header))
                    continue
                header = row
                if missing := [name for name in (*task.sentences, task.label) if name not in header]:
                    raise ValueError(f"expected a column {missing[0]!r}, got {', '.join(row)}")
        except UnicodeDecodeError:
            raise ValueError(f"{path}:{rows.line_num + 1}: expected UTF-8") from None
        except (csv.Error, ValueError) as error:
            raise ValueError(f"{path}:{rows.line_num}: {error}") from None
    if not examples:
        raise ValueError(f"{path}: expected rows, got none")
    return examples


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
            raise ValueError(f"{task.label}: expected one of {', '.join(task.classes)}, got {text!r}")
        return task.classes[text]
    try:
        score = float(text)
    except ValueError:
        raise ValueError(f"{task.label}: expected a number, got {text!r}") from None
    if not 0 <= score <= MAX_SCORE:
        raise ValueError(f"{task.label}: expected 0..{MAX_SCORE:g}, got {text!r}")
    return score
