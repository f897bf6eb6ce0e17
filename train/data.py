"""Examples as tensors: batches of texts of similar length, in an order fixed by a seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from golden.bert.tokens import Tokens

__all__ = ["SORTED", "Batch", "Data"]

SORTED = 20
"""Batches that are sorted by length together: little padding, and batches still random."""


@dataclass(frozen=True)
class Batch:
    """A batch of n examples with T texts each; all first texts precede all second texts.

    `ids`, `kinds` and `mask` (1 for a token, 0 for padding) are integers [T * n, S], `labels` is
    float32 [n], and `indices` [n] are the examples' indices in the data.
    """

    ids: Tensor
    kinds: Tensor
    mask: Tensor
    labels: Tensor
    indices: Tensor

    def to(self, device: torch.device) -> "Batch":
        """The batch on another device."""
        return Batch(*(getattr(self, name).to(device) for name in self.__dataclass_fields__))


@dataclass(frozen=True)
class Data:
    """Examples of a split: a tuple of texts for each, all of one length, and its label."""

    texts: Sequence[tuple[Tokens, ...]]
    labels: Sequence[float]

    def __len__(self) -> int:
        return len(self.texts)

    def batches(self, size: int, seed: int, epoch: int) -> list[Batch]:
        """All examples once, in batches of `size`; the last may be smaller.

        Seed and epoch determine the batches.
        """
        random = np.random.default_rng((seed, epoch))
        order = random.permutation(len(self)).tolist()
        groups: list[list[int]] = []
        for start in range(0, len(order), size * SORTED):
            part = sorted(order[start : start + size * SORTED], key=self._tokens)
            groups += [part[at : at + size] for at in range(0, len(part), size)]
        return [self.batch(groups[index]) for index in random.permutation(len(groups))]

    def in_order(self, size: int) -> Iterator[Batch]:
        """All examples once, short ones first, in batches of `size`."""
        order = sorted(range(len(self)), key=self._tokens)
        for start in range(0, len(order), size):
            yield self.batch(order[start : start + size])

    def batch(self, indices: Sequence[int]) -> Batch:
        """Batch of the examples at `indices`."""
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
