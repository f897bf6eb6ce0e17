"""Whether golden computes what was trained: outputs of both, example by example."""

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


@dataclass(frozen=True)
class Agreement:
    """Of so many examples: how many predictions are the same, and the largest difference of an output."""

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
    """Outputs of golden's model against those of the one it was exported from.

    Outputs are logits, the score of a head, or the cosine of two vectors. Predictions are classes;
    scores are the same where they differ by less than 1e-3. `progress` is told which fraction is
    done, the trained model's half first.
    """
    data = data_of(task, examples, Tokenizer())
    encoder = quantized_encoder(model, golden_backend)
    objective.eval()
    outputs = []
    # Weights do not change here, and quantizing them takes far longer than a forward pass.
    with torch.no_grad(), parametrize.cached():
        # One by one, as golden has them: padding is nothing to either, but sums of float32 have an
        # order.
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
