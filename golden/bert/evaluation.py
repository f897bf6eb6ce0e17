"""STS-B without a head: correlation of an encoder's cosines with the scores of sentence pairs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from golden.bert.encoder import Encoder, cosine, embed
from golden.bert.functions import Real
from golden.bert.tokens import Tokenizer
from golden.tasks.glue import Example
from golden.tasks.metrics import METRICS

__all__ = ["Similarity", "evaluate_sts", "pair_sequences", "similarity"]


@dataclass(frozen=True)
class Similarity:
    """Correlations, in percent, of an encoder's cosines with the scores of sentence pairs.

    `pairs` is the number of pairs.
    """

    pairs: int
    pearson: float
    spearman: float


def evaluate_sts(
    encoder: Encoder,
    tokenizer: Tokenizer,
    pairs: Sequence[Example],
    batch: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Similarity:
    """Correlations of the encoder's cosines with the pairs' scores.

    Each distinct sentence is computed once, in batches of equal length; `progress` as in `embed`.
    Raises ValueError for fewer than two pairs and for scores that are all equal.
    """
    sequences = pair_sequences(tokenizer, pairs)
    return similarity(embed(encoder, sequences, batch, progress), pairs)


def pair_sequences(tokenizer: Tokenizer, pairs: Sequence[Example]) -> list[list[int]]:
    """Token ids of both sentences of every pair, in order; errors as `evaluate_sts`."""
    if len({pair.label for pair in pairs}) < 2:
        raise ValueError(
            f"pairs: expected two or more of different scores, got {len(pairs)} without"
        )
    return tokenizer.encode_all([text for pair in pairs for text in _both(pair)])


def _both(pair: Example) -> tuple[str, str]:
    if pair.second is None:
        raise ValueError("pairs: expected two sentences each, got one")
    return pair.first, pair.second


def similarity(vectors: Real, pairs: Sequence[Example]) -> Similarity:
    """Correlations of cosines with the pairs' scores; 0 if all cosines are equal.

    `vectors` [2 * pairs, hidden] holds two vectors per pair.
    """
    scores = [pair.label for pair in pairs]
    cosines = cosine(vectors[0::2], vectors[1::2])
    found = (100 * METRICS[name](cosines, scores) for name in ("pearson", "spearman"))
    return Similarity(len(pairs), *found)
