"""Requantized results over the legal ranges of bias, mult and shift, in every mode."""

from functools import cache

import numpy as np
import pytest

from golden.numeric.requantize import MULT_MAX, SHIFT_MAX, requantize_value
from golden.schedule.backend import golden_backend
from golden.schedule.job import Epilogue, Job
from golden.spec.modes import Mode, mode
from sim.build import Build, build
from sim.compare import compare
from sim.simulation import simulate
from tests.support import legal
from tests.support.jobs import codes, config

pytestmark = pytest.mark.slow

SEED = 20261126

MODES = [
    ("w8a8", 4),
    ("w4a8", 4),
    ("w4a4", 4),
    ("wpw-a8", 4),
    ("wlog-a8", 3),
    ("wlog-a8", 5),
    ("wlog-alog", 4),
]
BUILDS = [(name, bits, dsp) for dsp in (True, False) for name, bits in MODES]
ROWS, COLUMNS, JOBS = 8, 1152, 8
"""Results of a job and jobs of a build: 14 builds of 73,728 results exceed a million."""


@cache
def core(name: str, exponent_bits: int, dsp: bool) -> Build:
    return build(config(name, rows=4, cols=4, exponent_bits=exponent_bits, dsp=dsp))


def job_of(rng: np.random.Generator, chosen: Mode, bits: int) -> Job:
    """Sums from a few units to the largest of 8 products, with any legal parameters."""
    depth = int(rng.integers(1, 9))
    x = codes(rng, chosen.x_format, (ROWS, depth), "random")
    x[: ROWS // 4] = codes(rng, chosen.x_format, (ROWS // 4, depth), "highest")
    w = codes(rng, chosen.w_format, (depth, COLUMNS), "random")
    w[:, ::8] = codes(rng, chosen.w_format, (depth, COLUMNS // 8), "highest")
    w[:, 1::8] = codes(rng, chosen.w_format, (depth, COLUMNS // 8), "lowest")
    epilogue = Epilogue(legal.mults(rng, COLUMNS), legal.shifts(rng, COLUMNS), bits)
    return Job(f"{bits} bits", chosen, x, w, legal.biases(rng, COLUMNS), epilogue)


@pytest.mark.parametrize(("name", "exponent_bits", "dsp"), BUILDS)
def test_any_parameters(name: str, exponent_bits: int, dsp: bool) -> None:
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    jobs = []
    for index in range(JOBS):
        chosen = legal.any_piecewise(rng, mode(name, exponent_bits))
        jobs.append(job_of(rng, chosen, (8, 4)[index % 2]))
    (group,) = simulate(core(name, exponent_bits, dsp), [jobs]).groups
    assert len(BUILDS) * sum(y.size for y in group.y) >= 1_000_000
    for job, expected, got in zip(jobs, golden_backend(jobs), group.y, strict=True):
        comparison = compare(expected, got)
        assert comparison.exact, f"{job.mode.name}, {job.name}: {comparison}"


@pytest.mark.parametrize("dsp", [True, False])
@pytest.mark.parametrize("bits", [8, 4])
def test_a_product_beyond_a_raw_result_keeps_its_sign(bits: int, dsp: bool) -> None:
    """9 * 127 * 127 * 32767 >> 1 exceeds the 33 bits of a raw result of this build."""
    columns = np.full((9, 2), 127, np.int8) * np.array([1, -1], np.int8)
    epilogue = Epilogue(np.full(2, MULT_MAX, np.int32), np.full(2, 1, np.int32), bits)
    job = Job("nine", mode("w8a8"), np.full((1, 9), 127, np.int8), columns, None, epilogue)
    (group,) = simulate(core("w8a8", 4, dsp), [[job]]).groups
    largest = 2 ** (bits - 1) - 1
    assert group.y[0].tolist() == [[largest, -largest]]


def test_the_draws_reach_every_corner() -> None:
    """The random parameters must not stay near those of a trained model."""
    rng = np.random.default_rng(SEED)
    bias, mult, shift = (
        legal.biases(rng, 20_000),
        legal.mults(rng, 20_000),
        legal.shifts(rng, 20_000),
    )
    assert {bias.min(), bias.max()} == {-(2**31), 2**31 - 1}
    assert {0, 1, 2**14 - 1, 2**14, 2**14 + 1, MULT_MAX} <= set(mult.tolist())
    assert set(shift.tolist()) == set(range(1, SHIFT_MAX + 1))
    results = [
        requantize_value(0, int(b), int(m), int(s))
        for b, m, s in zip(bias, mult, shift, strict=True)
    ]
    whole = [int(b) * int(m) >> int(s) for b, m, s in zip(bias, mult, shift, strict=True)]
    assert {-127, -1, 0, 1, 127} <= set(results)
    assert len(set(results)) > 200
    assert sum(abs(value) >= 2**32 for value in whole) > 1000
