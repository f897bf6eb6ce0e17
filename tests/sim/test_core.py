"""The core in simulation: shapes, extremes, stalls, changes of mode, and cycles."""

from collections.abc import Sequence

import numpy as np
import pytest

from golden.schedule.backend import golden_backend
from golden.schedule.job import Job
from golden.spec.modes import MODE_NAMES, mode
from hw.verilog.design import generate
from sim.build import build
from sim.compare import compare
from sim.simulation import Run, simulate
from sim.stalls import Stalls
from tests.support import legal
from tests.support.jobs import PATTERNS, config, random_job
from tests.support.simulators import ICARUS

pytestmark = pytest.mark.slow

SEED = 20261121
SIZES = (1, 7, 8, 9, 15, 16, 31, 64, 100, 384)
ARRAYS = {(1, 1): 12_000, (4, 4): 150_000, (3, 5): 150_000, (8, 8): 10**8}
"""rows x cols, and the largest number of products of a GEMM."""


def pairwise_shapes() -> list[tuple[int, int, int]]:
    """Shapes with every pair of sizes in every two of M, K and N: a Latin square."""
    count = len(SIZES)
    return [
        (SIZES[i], SIZES[j], SIZES[(i + j) % count]) for i in range(count) for j in range(count)
    ]


def assert_exact(run: Run) -> None:
    for group in run.groups:
        for job, expected, got in zip(group.jobs, golden_backend(group.jobs), group.y, strict=True):
            comparison = compare(expected, got)
            assert comparison.exact, f"{job.name} {job.mode.name} {job.shape}: {comparison}"


def run_exact(
    names: Sequence[str], size: tuple[int, int], groups: list[list[Job]], **options: object
) -> Run:
    run = simulate(build(config(*names, rows=size[0], cols=size[1])), groups, **options)
    assert_exact(run)
    return run


@pytest.mark.parametrize("size", ARRAYS, ids=lambda size: f"{size[0]}x{size[1]}")
def test_every_pair_of_sizes_raw_and_requantized(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(SEED)
    print(f"seed {SEED}")
    groups = []
    for index, shape in enumerate(pairwise_shapes()):
        if np.prod(shape) > ARRAYS[size]:
            continue
        # Use every combination of patterns of x and w, raw and requantized.
        patterns = (PATTERNS[index % 4], PATTERNS[index // 4 % 4])
        jobs = [
            random_job(rng, mode("w8a8"), shape, requantize=requantize, patterns=patterns)
            for requantize in (False, True)
        ]
        groups.append(jobs)
    assert len(groups) >= {(1, 1): 30, (8, 8): 100}.get(size, 60)
    run_exact(["w8a8"], size, groups)


@pytest.mark.parametrize("size", [(8, 8), (3, 5), (1, 1)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_cycles_are_those_predicted(size: tuple[int, int]) -> None:
    """Short tiles limited by the drain, and long ones; raw, biased and requantized results."""
    rng = np.random.default_rng(SEED)
    rows, cols = size
    depths = sorted({1, 2, rows, 2 * rows - 2, 2 * rows - 1, 2 * rows, 40, 300} - {0})
    groups = [
        [
            random_job(
                rng, mode("w8a8"), (6 * rows, k, 7 * cols), requantize=requantize, biased=biased
            )
        ]
        for k in depths
        for requantize, biased in ((False, False), (False, True), (True, True))
    ]
    groups += [[random_job(rng, mode("w8a8"), (33, k, 50), requantize=True) for k in (17, 64, 9)]]
    groups += [
        [random_job(rng, mode("w8a8"), (33, k, 50), requantize=False) for k in (8, 128, 100)]
    ]
    run = run_exact(["w8a8"], size, groups)
    for group in run.groups:
        predicted = group.schedule.cycles
        shapes = [job.shape for job in group.jobs]
        assert abs(group.cycles - predicted) <= max(8, predicted / 100), (
            shapes,
            group.cycles,
            predicted,
        )


@pytest.mark.parametrize("seed", range(4))
def test_random_stalls_on_every_stream_lose_nothing(seed: int) -> None:
    rng = np.random.default_rng(seed)
    print(f"seed {seed}")
    stalls = Stalls(*rng.choice([0.0, 0.1, 0.5, 0.9], 4), seed=seed)
    shapes = [(1, 1, 1), (8, 1, 8), (24, 3, 24), (9, 15, 17), (16, 40, 8)]
    groups = [
        [random_job(rng, mode("w8a8"), shape, requantize=bool(rng.integers(2))) for shape in shapes]
        for _ in range(2)
    ]
    run_exact(["w8a8"], (8, 8), groups, stalls=stalls)


def test_a_sink_that_rarely_takes_anything_delays_and_loses_nothing() -> None:
    rng = np.random.default_rng(SEED)
    jobs = [random_job(rng, mode("w8a8"), (8, 1, 8), requantize=False) for _ in range(40)]
    run = run_exact(["w8a8"], (8, 8), [jobs], stalls=Stalls(results=0.98, seed=SEED))
    # Eight columns take two result transfers.
    assert run.cycles > 40 * 8 * 2 * 20


@pytest.mark.parametrize("size", [(4, 4), (3, 5)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_modes_follow_each_other_at_random(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(SEED)
    groups = []
    for _ in range(3):
        jobs = []
        for _ in range(30):
            shape = tuple(int(size) for size in rng.integers(1, 24, 3))
            chosen = legal.any_mode(rng, MODE_NAMES)
            patterns = tuple(rng.choice(PATTERNS, 2, p=[0.7, 0.1, 0.1, 0.1]))
            jobs.append(
                random_job(rng, chosen, shape, requantize=bool(rng.integers(2)), patterns=patterns)
            )
        groups.append(jobs)
    built = build(config(*MODE_NAMES, rows=size[0], cols=size[1]))
    assert_exact(simulate(built, groups))
    assert_exact(simulate(built, groups, Stalls(0.3, 0.3, 0.3, 0.3, seed=SEED)))


@pytest.mark.parametrize("simulator", ["cocotb", ICARUS])
def test_the_delivered_text_gives_what_the_fast_simulator_gives(simulator: str) -> None:
    """The flat module and the delivered text give equal results and cycles in every mode."""
    rng = np.random.default_rng(SEED)
    groups = [
        [
            random_job(rng, legal.any_mode(rng, (name,)), (5, k, 7), requantize=k > 4)
            for name in MODE_NAMES
        ]
        for k in (1, 5, 20)
    ]
    subject = config(*MODE_NAMES, rows=2, cols=3, k_max=32)
    fast, delivered = build(subject), build(subject, simulator)
    text = generate("core", subject).sha256
    assert delivered.digests == {"verilog_sha256": text, "simulated_sha256": text}
    assert fast.digests["verilog_sha256"] == text != fast.digests["simulated_sha256"]
    taken = set()
    for stalls in (
        None,
        Stalls(0.3, 0.5, 0.4, 0.6, seed=SEED),
        Stalls(status=0.9, seed=7),
        Stalls(results=0.8),
    ):
        runs = [simulate(each, groups, stalls) for each in (fast, delivered)]
        for run in runs:
            assert_exact(run)
        cycles = [[group.cycles for group in run.groups] for run in runs]
        assert cycles[0] == cycles[1], stalls
        taken.add(tuple(cycles[0]))
    assert len(taken) == 4


def test_the_largest_sum_of_the_deepest_gemm() -> None:
    """k_max products of the largest magnitude, of either sign, fit the accumulators."""
    groups = [
        [
            random_job(
                np.random.default_rng(SEED),
                mode("w8a8"),
                (1, 4096, 1),
                requantize=False,
                patterns=patterns,
            )
        ]
        for patterns in (("highest", "highest"), ("highest", "lowest"))
    ]
    run = run_exact(["w8a8"], (1, 1), groups)
    sums = [int(group.y[0][0, 0]) - int(group.jobs[0].bias[0]) for group in run.groups]
    assert sums == [127 * 127 * 4096, -127 * 127 * 4096]


def test_what_only_the_compiler_needs_is_not_kept() -> None:
    """Precompiled headers have 90 MB each."""
    for simulator in ("verilator", "cocotb"):
        folder = build(config("w8a8", "wpw-a8", rows=3, cols=5), simulator).folder
        assert sum(file.stat().st_size for file in folder.iterdir()) < 20e6
