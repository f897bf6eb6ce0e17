"""Examples as tensors: texts of like length in a batch, in an order that a seed fixes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from golden.bert.tokens import Tokens

SORTED = 20
"""So many batches are sorted by length together: little padding, and still random company."""


@dataclass(frozen=True)
class Batch:
    """n examples of T texts each, the n first texts before the n second ones.

    `ids`, `kinds` and `mask` (1 where a token is) are integers [T * n, S]; `labels` float32 [n];
    `indices` [n] are the examples' places in the data.
    """

    ids: Tensor
    kinds: Tensor
    mask: Tensor
    labels: Tensor
    indices: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The same on a device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Data:
    """A split: of each example its texts, as many for every one, and its label."""

    texts: Sequence[tuple[Tokens, ...]]
    labels: Sequence[float]

    def __len__(self) -> int:
        return len(self.texts)

    def batches(self, size: int, seed: int, epoch: int) -> list[Batch]:
        """Every example once, in batches of `size` and at last fewer; the same for the same seed and epoch."""
        random = np.random.default_rng((seed, epoch))
        order = random.permutation(len(self)).tolist()
        groups: list[list[int]] = []
        for start in range(0, len(order), size * SORTED):
            part = sorted(order[start : start + size * SORTED], key=self._tokens)
            groups += [part[at : at + size] for at in range(0, len(part), size)]
        return [self.batch(groups[index]) for index in random.permutation(len(groups))]

    def in_order(self, size: int) -> Iterator[Batch]:
        """Every example once, short ones first."""
        order = sorted(range(len(self)), key=self._tokens)
        for start in range(0, len(order), size):
            yield self.batch(order[start : start + size])

    def batch(self, indices: Sequence[int]) -> Batch:
        """Those examples."""
        texts = [self.texts[index][part] for part in range(len(self.texts[0])) for index in indices]
        length = max(len(text.ids) for text in texts)
        ids, kinds, mask = (torch.zeros(len(texts), length, dtype=torch.long) for _ in range(3))
        for row, text in enumerate(texts):
            size = len(text.ids)
            ids[row, :size], kinds[row, :size] = torch.tensor(text.ids), torch.tensor(text.kinds)
            mask[row, :size] = 1
        labels = torch.tensor([self.labels[index] for index in indices], dtype=torch.float32)
        return Batch(ids, kinds, mask, labels, torch.tensor(indices))

    def _tokens(self, index: int) -> int:
        return max(len(text.ids) for text in self.texts[index])
