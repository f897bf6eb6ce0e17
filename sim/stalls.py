"""Random stalls of the core's streams, reproducible by seed and equal in every simulator."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PERIOD", "STREAMS", "Stalls"]

STREAMS = ("commands", "loads", "status", "results")
"""The core's streams, in the order of all tables and tuples per stream."""

PERIOD = 1 << 15
"""Cycles after which a stream's stalls repeat."""


@dataclass(frozen=True)
class Stalls:
    """Probability of a stall of each stream in each cycle, and the random seed."""

    commands: float = 0.0
    loads: float = 0.0
    status: float = 0.0
    results: float = 0.0
    seed: int = 0

    def pauses(self) -> NDArray[np.uint8]:
        """Table, uint8 [len(STREAMS), PERIOD], with 1 where a stream stalls.

        The column is the cycle since the first command, modulo PERIOD. Each stream has its own
        generator and draws once per cycle, so its stalls depend neither on other streams nor on a
        simulator's order of evaluation.
        """
        table = np.zeros((len(STREAMS), PERIOD), np.uint8)
        for index, name in enumerate(STREAMS):
            if probability := getattr(self, name):
                draws = np.random.default_rng((self.seed, index)).random(PERIOD, np.float32)
                table[index] = draws < probability
        return table
