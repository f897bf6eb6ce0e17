"""Pauses of the core's streams: one sequence for a seed, the same in every simulator."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["PERIOD", "STREAMS", "Stalls"]

STREAMS = ("commands", "loads", "status", "results")
"""The core's streams, in the order of everything that is given for each."""

PERIOD = 1 << 15
"""Cycles after which the pauses of a stream repeat."""


@dataclass(frozen=True)
class Stalls:
    """Probability, in each cycle, that a stream pauses although it need not, and the seed of the draws."""

    commands: float = 0.0
    loads: float = 0.0
    status: float = 0.0
    results: float = 0.0
    seed: int = 0

    def pauses(self) -> NDArray[np.uint8]:
        """1 where a stream pauses: [len(STREAMS), PERIOD], by the cycle since the commands began, modulo PERIOD.

        Every stream has a generator of its own and a draw for each cycle, used or not. So the
        pauses depend neither on what the other streams do nor on the order in which a simulator
        looks at them.
        """
        table = np.zeros((len(STREAMS), PERIOD), np.uint8)
        for index, name in enumerate(STREAMS):
            if probability := getattr(self, name):
                draws = np.random.default_rng((self.seed, index)).random(PERIOD, np.float32)
                table[index] = draws < probability
        return table
