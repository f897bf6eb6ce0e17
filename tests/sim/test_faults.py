"""The core under faults of its host: resets, long stalls, and random commands."""

import numpy as np
import pytest

from sim.native.compiled import Model
from sim.stalls import Stalls
from tests.support.host import SEED, assert_exact, built, noise, run, words, work

pytestmark = pytest.mark.slow


def test_a_reset_at_any_cycle_leaves_a_new_core() -> None:
    plan, rng = work(), np.random.default_rng(SEED)
    model = Model(built())
    first = run(model, plan)
    assert_exact(plan, first)
    for cycle in rng.integers(1, first.cycles, 100):
        model.reset()
        stalls = Stalls(*rng.choice([0.0, 0.3], 4), seed=int(cycle))
        broken = run(model, plan, cycles=int(cycle), stalls=stalls)
        assert not broken.complete
        model.reset()
        again = run(model, plan)
        assert_exact(plan, again)
        assert again.cycles == first.cycles, cycle


@pytest.mark.parametrize("stream", ["commands", "loads", "status", "results"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_stream_that_stops_for_long_loses_nothing(stream: str, share: float) -> None:
    plan, model = work(), Model(built())
    start = int(plan.cycles * share)
    traffic = run(model, plan, pauses={stream: (start, start + 10_000)})
    assert_exact(plan, traffic)
    assert traffic.cycles > 10_000
    # No result or load is left over.
    after = model.run(words(), noise(np.random.default_rng(1), 4), 1, cycles=500)
    assert (len(after.results), after.loads) == (0, 0)
