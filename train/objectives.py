"""Training objectives: a loss against labels and a distance from a teacher."""

from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from transformers import BertModel

from golden.bert.head import read_texts
from golden.bert.tokens import Tokenizer
from golden.tasks.glue import MAX_SCORE, SIMILARITY, Example, Task, task_of
from train.bert import mean_states
from train.data import Batch, Data

__all__ = ["Headed", "Objective", "Similarity", "data_of", "objective_of"]


def data_of(name: str, examples: Sequence[Example], tokenizer: Tokenizer) -> Data:
    """Examples as a task's model reads them: apart for similarity, otherwise joined pairs."""
    labels = [each.label for each in examples]
    if name != SIMILARITY:
        return Data([(text,) for text in read_texts(tokenizer, examples)], labels)
    apart = [
        Example(part or "", None, 0) for each in examples for part in (each.first, each.second)
    ]
    texts = read_texts(tokenizer, apart)
    return Data(list(zip(texts[0::2], texts[1::2], strict=True)), labels)


class Objective(nn.Module, ABC):
    """A BERT with its loss. Its features are the mean states of texts, [T * n, hidden]."""

    head: nn.Linear | None

    def __init__(self, bert: BertModel) -> None:
        super().__init__()
        self.bert = bert
        self.head = None

    def features(self, batch: Batch) -> Tensor:
        """Mean state of each text, without padding."""
        return mean_states(self.bert, batch.ids, batch.mask, batch.kinds)

    @abstractmethod
    def outputs(self, batch: Batch) -> Tensor:
        """Outputs as golden's model of the task computes them: [n, outputs]."""

    @abstractmethod
    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        """Loss against labels [n]."""

    @abstractmethod
    def distance(self, features: Tensor, taught: Tensor) -> Tensor:
        """Distance from a teacher's features of the same texts."""


class Similarity(Objective):
    """Objective of similarity: the cosine of two sentence vectors approximates score / 5.

    Reimers and Gurevych, arXiv:1908.10084, section 3.
    """

    def outputs(self, batch: Batch) -> Tensor:
        return self._cosines(self.features(batch)).unsqueeze(-1)

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        return nn.functional.mse_loss(self._cosines(features), labels / MAX_SCORE)

    @staticmethod
    def _cosines(features: Tensor) -> Tensor:
        first, second = features.chunk(2)
        return nn.functional.cosine_similarity(first, second)

    def distance(self, features: Tensor, taught: Tensor) -> Tensor:
        return (1 - nn.functional.cosine_similarity(features, taught)).mean()


class Headed(Objective):
    """Objective of a classifier or a score with a linear head.

    The head is trained too; with a teacher it starts from the teacher's.
    """

    head: nn.Linear

    def __init__(self, bert: BertModel, task: Task) -> None:
        super().__init__(bert)
        self.task = task
        self.head = nn.Linear(bert.config.hidden_size, task.outputs)
        self.dropout = nn.Dropout(bert.config.hidden_dropout_prob)

    def outputs(self, batch: Batch) -> Tensor:
        result: Tensor = self.head(self.features(batch))
        return result

    def loss(self, features: Tensor, labels: Tensor) -> Tensor:
        outputs = self.head(self.dropout(features))
        if self.task.classes:
            return nn.functional.cross_entropy(outputs, labels.long())
        return nn.functional.mse_loss(outputs.squeeze(-1), labels / MAX_SCORE)

    def distance(self, features: Tensor, taught: Tensor) -> Tensor:
        apart = (1 - nn.functional.cosine_similarity(features, taught)).mean()
        with torch.no_grad():
            target = self.head(taught)
        outputs = self.head(features)
        if self.task.classes:
            wrong = nn.functional.cross_entropy(
                outputs, target.softmax(-1)
            ) - nn.functional.cross_entropy(target, target.softmax(-1))
        else:
            wrong = nn.functional.mse_loss(outputs, target)
        return apart + wrong


def objective_of(name: str, bert: BertModel) -> Objective:
    """Objective of a task (TASK_NAMES)."""
    return Similarity(bert) if name == SIMILARITY else Headed(bert, task_of(name))
