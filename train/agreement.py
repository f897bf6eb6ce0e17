"""Comparison of golden's outputs with those of the trained model it was exported from."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn.utils import parametrize

from golden.bert.encoder import cosine, embed
from golden.bert.head import evaluate_head, predictions
from golden.bert.quantized import QuantizedModel, quantized_encoder
from golden.bert.tokens import Tokenizer
from golden.schedule.backend import golden_backend
from golden.tasks.glue import Example, task_of
from train.objectives import Objective, data_of

__all__ = ["Agreement", "agreement"]


@dataclass(frozen=True)
class Agreement:
    """Agreement over `examples` examples.

    `same` is the number of equal predictions, `largest` the largest difference of an output.
    """

    examples: int
    same: int
    largest: float


def agreement(
    task: str,
    objective: Objective,
    model: QuantizedModel,
    examples: Sequence[Example],
    progress: Callable[[float], None] = lambda fraction: None,
) -> Agreement:
    """Compare golden's model with the trained objective it was exported from, example by example.

    Outputs are logits, a head's score or the cosine of two vectors. Two predictions are equal if
    they are the same class, or scores that differ by less than 1e-3. `progress` is called with the
    fraction done; the trained model takes the first half.
    """
    data = data_of(task, examples, Tokenizer())
    encoder = quantized_encoder(model, golden_backend)
    objective.eval()
    outputs = []
    # Quantize the weights once: it takes longer than a forward pass.
    with torch.no_grad(), parametrize.cached():
        # One by one, because padding would change the order of float32 sums.
        for index in range(len(data)):
            outputs.append(objective.outputs(data.batch([index])).cpu().numpy())
            progress((index + 1) / (2 * len(data)))
    trained = np.concatenate(outputs)

    def report(done: int, total: int) -> None:
        progress((1 + done / total) / 2)

    if model.head is None:
        vectors = embed(
            encoder, [text.ids for texts in data.texts for text in texts], progress=report
        )
        exact = cosine(vectors[0::2], vectors[1::2])[:, np.newaxis]
    else:
        exact = evaluate_head(
            encoder, model.head, [text for (text,) in data.texts], progress=report
        )
    kind = task_of(task)
    if kind.classes:
        same = predictions(trained, kind) == predictions(exact, kind)
    else:
        same = (np.abs(trained - exact) < 1e-3).all(axis=1)
    return Agreement(len(examples), int(same.sum()), float(np.abs(trained - exact).max()))
