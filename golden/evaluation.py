"""Semantic similarity on GLUE's STS-B: the reader, the correlations and the score of an encoder."""

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from golden.encoder import Encoder, Real, cosine, embed
from golden.tokens import Tokenizer

MAX_SCORE = 5.0
"""Scores reach from 0 (unrelated) to this (same meaning)."""


@dataclass(frozen=True)
class Pair:
    """Two sentences and how similar people found them, 0..5."""

    first: str
    second: str
    score: float


@dataclass(frozen=True)
class Similarity:
    """Correlations, in percent, of an encoder's cosines with people's scores over so many pairs."""

    pairs: int
    pearson: float
    spearman: float


def read_sts(folder: Path, split: str = "dev") -> list[Pair]:
    """Pairs of a split (`train` or `dev`) of folder/STS-B.

    Reads <split>.csv, three quoted columns (sentence, sentence, score) without a header, or else GLUE's own
    <split>.tsv, unquoted, ten columns under a header. Raises FileNotFoundError when there is neither,
    ValueError that names file and line for a malformed row.
    """
    table, tabbed = (folder / "STS-B" / f"{split}.{ending}" for ending in ("csv", "tsv"))
    if table.exists():
        return _read_rows(table, csv.excel, 3, header=False)
    if tabbed.exists():
        return _read_rows(tabbed, _Tabbed, 10, header=True)
    raise FileNotFoundError(f"{folder}: expected STS-B/{table.name} or STS-B/{tabbed.name}, found neither")


def evaluate_sts(
    encoder: Encoder,
    tokenizer: Tokenizer,
    pairs: Sequence[Pair],
    batch: int = 64,
    progress: Callable[[int, int], None] | None = None,
) -> Similarity:
    """Correlations of the encoder's cosines with the pairs' scores.

    Each distinct sentence is computed once, in batches of equal length; `progress` is told how many are done,
    and of how many. Raises ValueError for fewer than two pairs or scores all equal.
    """
    sequences = pair_sequences(tokenizer, pairs)
    return similarity(embed(encoder, sequences, batch, progress), pairs)


def pair_sequences(tokenizer: Tokenizer, pairs: Sequence[Pair]) -> list[list[int]]:
    """Token ids of every pair's two sentences, one after the other. Errors as `evaluate_sts`."""
    if len({pair.score for pair in pairs}) < 2:
        raise ValueError(f"pairs: expected two or more of different scores, got {len(pairs)} without")
    return tokenizer.encode_all([text for pair in pairs for text in (pair.first, pair.second)])


def similarity(vectors: Real, pairs: Sequence[Pair]) -> Similarity:
    """Correlations of the cosines of vectors [2 * pairs, hidden], two for each pair, with the pairs' scores."""
    scores = [pair.score for pair in pairs]
    cosines = cosine(vectors[0::2], vectors[1::2])
    return Similarity(len(pairs), 100 * pearson(cosines, scores), 100 * spearman(cosines, scores))


def pearson(a: ArrayLike, b: ArrayLike) -> float:
    """Linear correlation, -1..1, of two samples. Raises ValueError for unequal lengths, constant samples."""
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"samples: expected two of one length, got shapes {x.shape} and {y.shape}")
    x, y = x - x.mean(), y - y.mean()
    spread = np.sqrt((x @ x) * (y @ y))
    if not spread:
        raise ValueError("samples: expected differing values, got a constant sample")
    return float(np.clip(x @ y / spread, -1, 1))


def spearman(a: ArrayLike, b: ArrayLike) -> float:
    """Rank correlation, -1..1, of two samples; equal values share their average rank. Errors as `pearson`."""
    return pearson(ranks(a), ranks(b))


def ranks(values: ArrayLike) -> NDArray[np.float64]:
    """Ranks from 1, equal values sharing the average of theirs."""
    _, group, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    averages: NDArray[np.float64] = last - (counts - 1) / 2
    return averages[group]


class _Tabbed(csv.excel_tab):
    quoting = csv.QUOTE_NONE


def _read_rows(path: Path, dialect: type[csv.Dialect], columns: int, *, header: bool) -> list[Pair]:
    pairs = []
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.reader(file, dialect, strict=True)
        try:
            for row in rows:
                if header and rows.line_num == 1:
                    continue
                pairs.append(_pair(row, columns))
        except UnicodeDecodeError:
            raise ValueError(f"{path}:{rows.line_num + 1}: expected UTF-8") from None
        except (csv.Error, ValueError) as error:
            raise ValueError(f"{path}:{rows.line_num}: {error}") from None
    if not pairs:
        raise ValueError(f"{path}: expected rows, got none")
    return pairs


def _pair(row: list[str], columns: int) -> Pair:
    if len(row) != columns:
        raise ValueError(f"expected {columns} columns, got {len(row)}")
    first, second, text = row[-3:]
    if not first.strip() or not second.strip():
        raise ValueError("expected two sentences, got an empty one")
    try:
        score = float(text)
    except ValueError:
        raise ValueError(f"score: expected a number, got {text!r}") from None
    if not 0 <= score <= MAX_SCORE:
        raise ValueError(f"score: expected 0..{MAX_SCORE:g}, got {text!r}")
    return Pair(first, second, score)
