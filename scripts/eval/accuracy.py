"""A model's metrics on a task, computed on golden, as training and evaluation report them."""

from collections.abc import Sequence
from pathlib import Path

from golden.bert.encoder import Encoder, float_encoder
from golden.bert.evaluation import Similarity, evaluate_sts
from golden.bert.head import Head, evaluate_head, metrics, predictions, read_texts
from golden.bert.quantized import QuantizedModel, quantized_encoder
from golden.bert.tokens import Tokenizer
from golden.bert.weights import read_weights
from golden.schedule.backend import golden_backend
from golden.tasks.glue import SIMILARITY, Example, read_examples, task_of
from scripts.console import Bar, warnings_told

Figures = dict[str, float]
"""A task's metrics in percent, the quoted one first.

`classes` is the number of different predictions.
"""


def read(task: str, glue: Path, split: str, limit: int | None = None) -> list[Example]:
    """The first `limit` examples of a split (None for all); prints a message if rows are skipped.

    Raises ValueError that names the option. Equal scores of all `dev` examples are an error, too,
    because a correlation with them is undefined.
    """
    kind = task_of(task)
    try:
        with warnings_told():
            examples = read_examples(kind, glue, split)[:limit]
    except (OSError, ValueError) as error:
        raise ValueError(f"--glue: {error}") from None
    if split == "dev" and not kind.classes and len({example.label for example in examples}) < 2:
        first = "" if limit is None else f"first {limit} "
        got = f"{examples[0].label:g} in all {len(examples)}"
        raise ValueError(
            f"--glue: {glue / kind.folder}: expected {first}examples of {split} with different "
            f"scores, got {got}"
        )
    return examples


def read_pairs(glue: Path, limit: int | None = None, task: str = SIMILARITY) -> list[Example]:
    """The first `limit` examples of a task's dev split (None for all).

    Raises ValueError that names the option.
    """
    if limit is not None and limit < 2:
        raise ValueError(f"--limit: expected 2 pairs or more, got {limit}")
    return read(task, glue, "dev", limit)


def score(encoder: Encoder, pairs: list[Example], bar: Bar, stage: str) -> Similarity:
    """Run `evaluate_sts` and show its progress on the bar."""
    bar.stage(stage)
    return evaluate_sts(encoder, Tokenizer(), pairs, progress=lambda done, total: bar(done / total))


def of_model(task: str, model: QuantizedModel, examples: Sequence[Example], bar: Bar) -> Figures:
    """The figures of a quantized model, bit-exact; ValueError if it lacks the task's head."""
    return accuracy(task, quantized_encoder(model, golden_backend), model.head, examples, bar)


def of_float(task: str, folder: Path | None, examples: Sequence[Example], bar: Bar) -> Figures:
    """The figures of the FP32 model in `folder`, by default of the packaged model."""
    from train.float_model import read_head

    head = None if task == SIMILARITY or folder is None else read_head(task, folder)
    return accuracy(task, float_encoder(read_weights(folder)), head, examples, bar)


def accuracy(
    task: str, encoder: Encoder, head: Head | None, examples: Sequence[Example], bar: Bar
) -> Figures:
    """The figures of an encoder and, unless the task is similarity, its head.

    Raises ValueError for the head of another task.
    """
    bar.stage(f"evaluating {task}")

    def report(done: int, total: int) -> None:
        bar(done / total)

    if task == SIMILARITY:
        result = evaluate_sts(encoder, Tokenizer(), examples, progress=report)
        return {"pearson": result.pearson, "spearman": result.spearman}
    if head is None or head.task != task:
        got = "none" if head is None else f"that of {head.task}"
        raise ValueError(f"--checkpoint: expected a model with the head of {task}, got {got}")
    kind = task_of(task)
    outputs = evaluate_head(encoder, head, read_texts(Tokenizer(), examples), progress=report)
    predicted = predictions(outputs, kind)
    figures = metrics(kind, predicted, examples)
    return figures | {"classes": float(len(set(predicted.tolist())))} if kind.classes else figures


def describe(figures: Figures) -> str:
    """The figures as one line of text."""
    parts = [f"{name} {figure:.2f}" for name, figure in figures.items() if name != "classes"]
    if "classes" in figures:
        parts.append(f"{figures['classes']:.0f} classes predicted")
    return ", ".join(parts)
