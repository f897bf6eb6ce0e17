"""Random GEMMs on a core with every mode, and on cores of various geometries."""

import numpy as np
import pytest

from golden.schedule.backend import golden_backend
from golden.schedule.job import Job
from golden.spec.modes import MODE_NAMES
from sim.build import Build, build
from sim.compare import compare
from sim.simulation import simulate
from sim.stalls import Stalls
from tests.support import legal
from tests.support.jobs import PATTERNS, config, random_job

pytestmark = pytest.mark.slow

SEED = 20261124
GROUPS, JOBS = 20, 10
OUTPUTS = ("raw", "biased", "8 bits", "4 bits")

GEOMETRIES = [
    {"bus": 1, "results": 8},
    {"bus": 2, "results": 1, "x_words": 64, "w_words": 64, "panels": 1},
    {"bus": 4, "results": 2, "x_words": 64, "w_words": 64},
    {"bus": 16, "results": 8, "panels": 1},
    {"bus": 32, "results": 2, "x_words": 64, "w_words": 64, "panels": 1},
    {"bus": 32, "results": 1},
]
"""Parameters of cores of 3 x 5 PEs with k_max 64."""


def random_gemm(rng: np.random.Generator, names: tuple[str, ...], most: int, deepest: int) -> Job:
    """A GEMM with sizes 1..`most`, mostly small; any output and piece-wise parameters."""
    tops = (most, deepest, most)
    if rng.random() < 0.3:
        m, k, n = (int(rng.integers(1, top + 1)) for top in tops)
    else:
        m, k, n = (int((top + 1) ** rng.random()) for top in tops)
    chosen = legal.any_mode(rng, names)
    output = OUTPUTS[rng.integers(len(OUTPUTS))]
    return random_job(
        rng,
        chosen,
        (m, k, n),
        requantize=output.endswith("bits"),
        biased=output != "raw",
        bits=4 if output == "4 bits" else 8,
        patterns=tuple(rng.choice(PATTERNS, 2, p=[0.85, 0.05, 0.05, 0.05])),
        name=output,
    )


def random_stalls(rng: np.random.Generator, seed: int) -> Stalls:
    """Each stream stalls never, sometimes, half of the time or nearly always."""
    return Stalls(*rng.choice([0.0, 0.1, 0.5, 0.9], 4, p=[0.3, 0.3, 0.3, 0.1]), seed=seed)


def assert_exact(built: Build, jobs: list[Job], stalls: Stalls) -> None:
    (group,) = simulate(built, [jobs], stalls).groups
    for job, expected, got in zip(jobs, golden_backend(jobs), group.y, strict=True):
        comparison = compare(expected, got)
        assert comparison.exact, f"{job.mode.name} {job.name} {job.shape}, {stalls}: {comparison}"


@pytest.mark.parametrize("seed", range(SEED, SEED + GROUPS))
def test_random_gemms_in_every_mode(seed: int) -> None:
    print(f"seed {seed}")
    rng = np.random.default_rng(seed)
    jobs = [random_gemm(rng, MODE_NAMES, 300, 300) for _ in range(JOBS)]
    assert_exact(
        build(config(*MODE_NAMES, rows=4, cols=4, k_max=512)), jobs, random_stalls(rng, seed)
    )


@pytest.mark.parametrize(
    "parameters",
    GEOMETRIES,
    ids=lambda parameters: "-".join(f"{name}{value}" for name, value in parameters.items()),
)
def test_cores_of_other_buses_buffers_and_results(parameters: dict[str, int]) -> None:
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    names = ("w8a8", "w4a4", "wpw-a8")
    built = build(config(*names, rows=3, cols=5, k_max=64, **parameters))
    for stalls in (Stalls(), *(random_stalls(rng, seed) for seed in range(4))):
        assert_exact(built, [random_gemm(rng, names, 40, 64) for _ in range(20)], stalls)
