"""Task heads: a linear layer from pooled states to a task's outputs, in float32 on the host."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.bert.encoder import Encoder
from golden.bert.functions import Real
from golden.bert.tokens import Tokenizer, Tokens
from golden.checks import check_finite
from golden.tasks.glue import MAX_SCORE, TASKS, Example, Task
from golden.tasks.metrics import METRICS

__all__ = ["Head", "evaluate_head", "metrics", "predictions", "read_texts"]


@dataclass(frozen=True)
class Head:
    """Linear head outputs = pooled @ weight + bias: float32 [hidden, outputs] and [outputs].

    A classifier has one output per class. A score has one output, where 1 is the highest score.
    Raises ValueError for an unknown task, wrong types or shapes, and values that are not finite.
    """

    task: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.task not in TASKS:
            raise ValueError(f"task: expected one of {', '.join(TASKS)}, got {self.task!r}")
        outputs = TASKS[self.task].outputs
        for name, array, shape in (
            ("weight", self.weight, (*self.weight.shape[:1], outputs)),
            ("bias", self.bias, (outputs,)),
        ):
            if array.dtype != np.float32 or array.shape != shape:
                got = f"{array.dtype} {array.shape}"
                raise ValueError(f"head.{name}: expected float32 {shape}, got {got}")
            check_finite(array, f"head.{name}")


def read_texts(tokenizer: Tokenizer, examples: Sequence[Example]) -> list[Tokens]:
    """Tokens of each example as one text; a pair is joined. Long texts are cut without a warning.

    Errors as `Tokenizer.read`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [tokenizer.read(example.first, example.second) for example in examples]


def evaluate_head(
    encoder: Encoder,
    head: Head,
    texts: Sequence[Tokens],
    batch: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Real:
    """Outputs of all texts, float32 [len(texts), outputs].

    Texts of equal length share batches of up to `batch`; `progress` as in `embed`. Raises
    ValueError for outputs that overflow float32.
    """
    outputs = np.empty((len(texts), len(head.bias)), np.float32)
    order = sorted(range(len(texts)), key=lambda index: len(texts[index].ids))
    done = 0
    for _, group in groupby(order, key=lambda index: len(texts[index].ids)):
        indices = list(group)
        for start in range(0, len(indices), batch):
            part = indices[start : start + batch]
            ids, kinds = ([texts[index][field] for index in part] for field in (0, 1))
            with np.errstate(over="ignore", invalid="ignore"):
                outputs[part] = encoder.pooled(ids, kinds) @ head.weight + head.bias
            check_finite(outputs[part], "head outputs")
            done += len(part)
            if progress is not None:
                progress(done, len(texts))
    return outputs


def predictions(outputs: Real, task: Task) -> NDArray[np.float64]:
    """Predictions, float64 [n], from outputs [n, outputs].

    For a task with classes, a prediction is the class with the largest output, the first of equal
    ones. Otherwise it is a score.
    """
    if task.classes:
        return np.asarray(outputs.argmax(axis=1), np.float64)
    return np.asarray(outputs[:, 0], np.float64) * MAX_SCORE


def metrics(task: Task, predicted: ArrayLike, examples: Sequence[Example]) -> dict[str, float]:
    """The task's metrics in percent, main metric first; ValueError as the metrics raise it."""
    labels = [example.label for example in examples]
    return {name: 100 * METRICS[name](predicted, labels) for name in task.metrics}
