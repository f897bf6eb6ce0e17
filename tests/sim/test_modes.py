"""Builds of several modes: every set builds, and tiles of its modes follow in any order."""

from itertools import combinations

import numpy as np
import pytest
from amaranth.hdl import Fragment

from golden.schedule.backend import golden_backend
from golden.spec.modes import MODE_NAMES
from hw.gateware.core.core import Core
from hw.target import Target
from hw.verilog.design import generate
from sim.build import build
from sim.compare import compare
from sim.simulation import simulate
from sim.stalls import Stalls
from tests.support import legal
from tests.support.jobs import PATTERNS, config, random_job

pytestmark = pytest.mark.slow

SEED = 20261122

SETS = [names for size in range(1, len(MODE_NAMES) + 1) for names in combinations(MODE_NAMES, size)]

MIXED = [
    ("w8a8", "w4a8"),
    ("w8a8", "w4a4"),
    ("w4a8", "w4a4"),
    ("w4a8", "wpw-a8"),
    ("w4a4", "wpw-a8"),
    ("w8a8", "wpw-a8"),
    ("w4a4", "wlog-alog"),
    ("w4a8", "wlog-alog"),
    ("wlog-alog", "wpw-a8"),
    ("wlog-a8", "wlog-alog"),
    ("w8a8", "wlog-a8"),
    ("w8a8", "w4a8", "w4a4"),
    ("w4a4", "wlog-alog", "wpw-a8"),
    MODE_NAMES,
]
"""The pairs that share accumulators, and larger sets."""

CASES = [pytest.param(names, 4, id="+".join(names)) for names in MIXED] + [
    pytest.param(names, 3, id="+".join(names) + "-3") for names in MIXED[-2:]
]


@pytest.mark.parametrize(
    "names", [names for names in SETS if len(names) in (1, 2, 6)], ids="+".join
)
def test_modes_elaborate(names: tuple[str, ...]) -> None:
    """Alone, in pairs and together; every set in the long test."""
    Fragment.get(Core(config(*names, rows=1, cols=1)), Target("generic"))


@pytest.mark.long
def test_every_set_of_modes_becomes_verilog() -> None:
    texts = {generate("core", config(*names, rows=1, cols=1)).sha256 for names in SETS}
    assert len(texts) == 63


@pytest.mark.parametrize(("names", "exponent_bits"), CASES)
def test_tiles_of_any_order_under_stalls(names: tuple[str, ...], exponent_bits: int) -> None:
    rng = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    jobs = []
    for _ in range(40):
        chosen = legal.any_mode(rng, names, exponent_bits)
        shape = tuple(int(size) for size in rng.integers(1, 20, 3))
        patterns = tuple(rng.choice(PATTERNS, 2, p=[0.7, 0.1, 0.1, 0.1]))
        jobs.append(
            random_job(rng, chosen, shape, requantize=bool(rng.integers(2)), patterns=patterns)
        )
    built = build(config(*names, rows=2, cols=3, exponent_bits=exponent_bits))
    for stalls in (Stalls(), Stalls(0.2, 0.4, 0.3, 0.4, seed=SEED)):
        (group,) = simulate(built, [jobs], stalls).groups
        for job, expected, got in zip(jobs, golden_backend(jobs), group.y, strict=True):
            comparison = compare(expected, got)
            assert comparison.exact, f"{job.mode.name} {job.shape}: {comparison}"
