"""The BERT encoder in float32, with exchangeable matrix products."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from golden.bert.config import BertConfig
from golden.bert.functions import Real, gelu, layer_norm, softmax
from golden.bert.weights import LayerWeights, Norm, Tables, Weights
from golden.checks import check_finite

__all__ = [
    "Encoder",
    "FloatProducts",
    "Ids",
    "Operand",
    "Products",
    "batches",
    "cosine",
    "embed",
    "float_encoder",
    "scattered",
    "table_lookup",
]

Ids = NDArray[np.integer] | Sequence[Sequence[int]]
Operand = NDArray[Any]
"""A value passed from one matrix product to the next: float32, or codes whose scale both know."""


class Products(Protocol):
    """Matrix products of an encoder on B stacked sentences of S tokens each: rows = B * S."""

    def project(self, layer: int, x: Real) -> tuple[Operand, Operand, Operand]:
        """Q, K and V [rows, hidden] of x [rows, hidden]."""

    def scores(self, layer: int, query: Operand, key: Operand) -> Real:
        """query @ key^T [B, heads, S, S] of [B, heads, S, width] each, not yet scaled."""

    def context(self, layer: int, probabilities: Real, value: Operand) -> Operand:
        """probabilities [B, heads, S, S] @ value [B, heads, S, width]."""

    def dense(self, name: str, layer: int, x: Operand) -> Real:
        """Linear layer `name` of x [rows, in], bias included: [rows, out].

        `name` is `output` (x from `context`), `ffn1` or `ffn2`.
        """


class FloatProducts:
    """All products in float32."""

    def __init__(self, layers: Sequence[LayerWeights]) -> None:
        self._layers = layers

    def project(self, layer: int, x: Real) -> tuple[Operand, Operand, Operand]:
        return (
            self.dense("query", layer, x),
            self.dense("key", layer, x),
            self.dense("value", layer, x),
        )

    def scores(self, layer: int, query: Operand, key: Operand) -> Real:
        result: Real = np.matmul(query, key.swapaxes(-1, -2))
        return result

    def context(self, layer: int, probabilities: Real, value: Operand) -> Operand:
        return np.asarray(np.matmul(probabilities, value))

    def dense(self, name: str, layer: int, x: Operand) -> Real:
        parameters = self._layers[layer].dense[name]
        result: Real = np.matmul(x, parameters.weight) + parameters.bias
        return result


class Encoder:
    """BERT encoder: from token ids to hidden states and sentence vectors.

    `lookup` returns rows of an embedding table, float32 [..., hidden], by the table's name (word,
    position, kind) and indices. `norms` holds two norms per layer: after attention and after the
    feed-forward network.
    """

    def __init__(
        self,
        config: BertConfig,
        lookup: Callable[[str, NDArray[np.integer]], Real],
        embedding_norm: Norm,
        norms: Sequence[tuple[Norm, Norm]],
        products: Products,
    ) -> None:
        self._config = config
        self._lookup = lookup
        self._embedding_norm = embedding_norm
        self._norms = norms
        self._products = products

    @property
    def config(self) -> BertConfig:
        """Dimensions of the model."""
        return self._config

    def hidden_states(self, ids: Ids, kinds: Ids | None = None) -> Real:
        """States of the last layer, float32 [B, S, hidden], of B texts of S token ids each.

        `kinds` [B, S] tells to which sentence of a pair each token belongs, 0 or 1; the default is
        0. Raises ValueError for ids not of shape [B, S] with S in 1..positions, for ids outside the
        vocabulary, for illegal kinds, and for states that overflow float32.
        """
        indices = _checked(ids, self._config)
        with np.errstate(over="ignore", invalid="ignore"):
            x = self._states(indices, _checked_kinds(kinds, indices))
        check_finite(x, "hidden states")
        return x.reshape(*indices.shape, self._config.hidden)

    def _states(self, indices: NDArray[np.integer], kinds: NDArray[np.integer]) -> Real:
        config, products = self._config, self._products
        batch, length = indices.shape
        split = (batch, length, config.heads, config.head_width)
        x = self._embed(indices, kinds).reshape(-1, config.hidden)
        for index, (attention_norm, output_norm) in enumerate(self._norms):
            query, key, value = (
                y.reshape(split).swapaxes(1, 2) for y in products.project(index, x)
            )
            scores = products.scores(index, query, key) / np.float32(np.sqrt(config.head_width))
            context = products.context(index, softmax(scores), value)
            joined = context.swapaxes(1, 2).reshape(-1, config.hidden)
            x = layer_norm(x + products.dense("output", index, joined), attention_norm, config.eps)
            inner = gelu(products.dense("ffn1", index, x))
            x = layer_norm(x + products.dense("ffn2", index, inner), output_norm, config.eps)
        return x

    def pooled(self, ids: Ids, kinds: Ids | None = None) -> Real:
        """Mean state of each text, float32 [B, hidden]; arguments and errors as `hidden_states`."""
        means: Real = self.hidden_states(ids, kinds).mean(axis=1, dtype=np.float32)
        return means

    def sentence_vectors(self, ids: Ids) -> Real:
        """Mean state of each sentence, normalised to length 1: float32 [B, hidden].

        Raises ValueError as `hidden_states` does, and for a mean of length 0 or infinity.
        """
        with np.errstate(over="ignore"):
            pooled = self.pooled(ids)
            lengths = np.linalg.norm(pooled, axis=-1, keepdims=True)
        wrong = ~(np.isfinite(lengths) & (lengths > 0))
        if wrong.any():
            raise ValueError(
                f"sentence vector: expected a finite length above 0, got {lengths[wrong][0]}"
            )
        vectors: Real = pooled / lengths
        return vectors

    def _embed(self, ids: NDArray[np.integer], kinds: NDArray[np.integer]) -> Real:
        positions = np.arange(ids.shape[1])
        x = self._lookup("word", ids) + self._lookup("position", positions)
        return layer_norm(x + self._lookup("kind", kinds), self._embedding_norm, self._config.eps)


def float_encoder(weights: Weights, products: Products | None = None) -> Encoder:
    """The float32 encoder; `products` may replace its products, for example to record operands."""
    norms = [(layer.attention_norm, layer.output_norm) for layer in weights.layers]
    products = FloatProducts(weights.layers) if products is None else products
    return Encoder(
        weights.config, table_lookup(weights.tables), weights.embedding_norm, norms, products
    )


def table_lookup(tables: Tables) -> Callable[[str, NDArray[np.integer]], Real]:
    """`lookup` function of an `Encoder` for float32 tables."""
    named: Mapping[str, Real] = {
        "word": tables.word,
        "position": tables.position,
        "kind": tables.kind,
    }
    return lambda name, indices: named[name][indices]


def embed(
    encoder: Encoder,
    sequences: Sequence[Sequence[int]],
    batch: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Real:
    """Sentence vectors, float32 [len(sequences), hidden], of token id sequences of any lengths.

    Each distinct sequence is computed once; sequences of equal length share batches of up to
    `batch`. `progress` is called with the number of distinct sequences done and their total.
    """
    groups = batches(sequences, batch)
    total = sum(map(len, groups))
    vectors = []
    for group in groups:
        vectors.append(encoder.sentence_vectors(group))
        if progress is not None:
            progress(sum(map(len, vectors)), total)
    return scattered(sequences, groups, vectors)


def batches(sequences: Sequence[Sequence[int]], batch: int) -> list[list[tuple[int, ...]]]:
    """Distinct sequences in groups of equal length, at most `batch` per group, short ones first."""
    ordered = sorted({tuple(sequence): None for sequence in sequences}, key=len)
    groups: list[list[tuple[int, ...]]] = []
    for ids in ordered:
        if not groups or len(groups[-1]) == batch or len(groups[-1][0]) != len(ids):
            groups.append([])
        groups[-1].append(ids)
    return groups


def scattered(
    sequences: Sequence[Sequence[int]],
    groups: Sequence[Sequence[tuple[int, ...]]],
    vectors: Sequence[Real],
) -> Real:
    """Vector of each sequence, [len(sequences), hidden].

    `vectors` holds the vectors of each group, [len(group), hidden].
    """
    found = {
        ids: vector
        for group, part in zip(groups, vectors, strict=True)
        for ids, vector in zip(group, part, strict=True)
    }
    return np.stack([found[tuple(sequence)] for sequence in sequences])


def cosine(a: Real, b: Real) -> Real:
    """Cosine of the angle between vectors [..., n] and [..., n]: float32 [...]."""
    lengths = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
    return np.asarray((a * b).sum(axis=-1) / lengths, np.float32)


def _checked_kinds(kinds: Ids | None, ids: NDArray[np.integer]) -> NDArray[np.integer]:
    if kinds is None:
        return np.array(0)
    indices = np.asarray(kinds)
    if (
        indices.shape != ids.shape
        or indices.dtype.kind not in "iu"
        or not np.isin(indices, (0, 1)).all()
    ):
        got = f"{indices.dtype} of shape {indices.shape}"
        raise ValueError(f"kinds: expected 0 and 1 of shape {ids.shape}, got {got}")
    return indices


def _checked(ids: Ids, config: BertConfig) -> NDArray[np.integer]:
    indices = np.asarray(ids)
    if indices.ndim != 2 or indices.size == 0 or indices.shape[1] > config.positions:
        raise ValueError(
            f"ids: expected [B, S] with S in 1..{config.positions}, got shape {indices.shape}"
        )
    if indices.dtype.kind not in "iu" or indices.min() < 0 or indices.max() >= config.vocabulary:
        got = f"{indices.dtype} {indices.min()}..{indices.max()}"
        raise ValueError(f"ids: expected integers in 0..{config.vocabulary - 1}, got {got}")
    return indices
