"""Stalls of the streams: determined by the seed, and independent of each other."""

from dataclasses import replace

import numpy as np
import pytest

from sim.stalls import PERIOD, STREAMS, Stalls


def test_the_same_seed_gives_the_same_pauses() -> None:
    stalls = Stalls(0.1, 0.5, 0.9, 0.3, seed=4)
    assert (stalls.pauses() == replace(stalls).pauses()).all()
    assert (stalls.pauses() != replace(stalls, seed=5).pauses()).any(axis=1).all()


def test_every_stream_has_pauses_of_its_own() -> None:
    """Streams of equal probability have different stalls, and none depends on another."""
    table = Stalls(0.5, 0.5, 0.5, 0.5, seed=4).pauses()
    assert len({row.tobytes() for row in table}) == len(STREAMS)
    for index, name in enumerate(STREAMS):
        alone = Stalls(**{name: 0.5}, seed=4).pauses()
        assert (alone[index] == table[index]).all()
        assert not np.delete(alone, index, axis=0).any()


@pytest.mark.parametrize("probability", [0.0, 0.1, 0.5, 0.98, 1.0])
def test_pauses_are_as_frequent_as_asked(probability: float) -> None:
    table = Stalls(*[probability] * len(STREAMS), seed=1).pauses()
    assert table.shape == (len(STREAMS), PERIOD)
    # Tolerance: five standard deviations.
    spread = 5 * np.sqrt(probability * (1 - probability) / PERIOD)
    assert (np.abs(table.mean(axis=1) - probability) <= spread).all()
