"""Comparison of hardware results with golden's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Comparison", "compare"]


@dataclass(frozen=True)
class Comparison:
    """Comparison of `count` results.

    `mismatches` is the number of results that differ; `index`, `expected` and `got` describe the
    first of them.
    """

    count: int
    mismatches: int
    index: tuple[int, ...] | None = None
    expected: int | None = None
    got: int | None = None

    @property
    def exact(self) -> bool:
        """Whether every result is equal."""
        return self.mismatches == 0

    def __str__(self) -> str:
        if self.exact:
            return f"{self.count} results equal"
        return (
            f"{self.mismatches} of {self.count} results differ, "
            f"first at {list(self.index or ())}: golden {self.expected}, rtl {self.got}"
        )


def compare(expected: NDArray[np.integer], got: NDArray[np.integer]) -> Comparison:
    """Compare golden's results with the hardware's, both [M, N].

    Raises ValueError if shapes or types differ.
    """
    if expected.shape != got.shape or expected.dtype != got.dtype:
        raise ValueError(
            f"results: expected {expected.dtype} {expected.shape}, got {got.dtype} {got.shape}"
        )
    wrong = np.argwhere(expected != got)
    if not len(wrong):
        return Comparison(expected.size, 0)
    index = tuple(int(i) for i in wrong[0])
    return Comparison(expected.size, len(wrong), index, int(expected[index]), int(got[index]))
