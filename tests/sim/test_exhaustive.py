"""Every operand pair and the largest sums of every mode, each mode built alone."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.numeric.codec import all_codes, decode
from golden.schedule.backend import golden_backend
from golden.schedule.job import Job
from golden.spec.formats import Format, Piecewise
from golden.spec.modes import K_MAX, Mode, mode
from sim.build import build
from sim.compare import compare
from sim.simulation import simulate
from tests.support.jobs import config

pytestmark = pytest.mark.slow

PIECEWISE = [(1, 0), (1, 63), (2, 32), (5, 13), (9, 7), (32, 1), (63, 0), (63, 63)]
"""Ratios and offsets: the corners, the documented examples, and choices for real weights."""

BUILDS = [
    ("w8a8", 4, True),
    ("w4a8", 4, True),
    ("w4a4", 4, True),
    ("wpw-a8", 4, True),
    ("wlog-a8", 3, True),
    ("wlog-a8", 4, True),
    ("wlog-a8", 5, True),
    ("wlog-alog", 3, True),
    ("wlog-alog", 4, True),
    ("w8a8", 4, False),
    ("w4a8", 4, False),
    ("w4a4", 4, False),
    ("wpw-a8", 4, False),
]


def operands(fmt: Format, lanes: int) -> NDArray[np.integer]:
    """Every combination of the `lanes` codes that one PE takes at a time: [count * lanes]."""
    codes = all_codes(fmt)
    grid = np.meshgrid(*[codes] * lanes, indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1)


def all_pairs(chosen: Mode) -> Job:
    """Outer product of all operands: each pair (quadruple) is one product in one PE."""
    x = operands(chosen.x_format, chosen.x_lanes)[:, None]
    w = operands(chosen.w_format, chosen.w_lanes)[None, :]
    return Job(f"pairs {chosen.w_format}", chosen, x, w)


def largest_sums(chosen: Mode) -> Job:
    """k_max products: the last takes every x code, the others have the largest magnitude.

    Both signs occur.
    """
    codes = all_codes(chosen.x_format)
    values = decode(codes, chosen.x_format)
    extremes = [codes[values.argmax()], codes[values.argmin()]]
    x = np.concatenate([np.tile(extremes[:1], (len(codes), K_MAX - 1)), codes[:, None]], axis=1)
    x = np.concatenate([x, np.full((1, K_MAX), extremes[0]), np.full((1, K_MAX), extremes[1])])
    weights = all_codes(chosen.w_format)
    reals = decode(weights, chosen.w_format)
    columns = [weights[reals.argmax()], weights[reals.argmin()]]
    if isinstance(chosen.w_format, Piecewise):
        columns += [weights.dtype.type(63), weights.dtype.type(-63)]
    return Job(
        f"largest {chosen.w_format}", chosen, x, np.tile(columns, (K_MAX, 1)).astype(weights.dtype)
    )


def variants(chosen: Mode) -> list[Mode]:
    if not isinstance(chosen.w_format, Piecewise):
        return [chosen]
    return [replace(chosen, w_format=Piecewise(ratio, offset)) for ratio, offset in PIECEWISE]


@pytest.mark.parametrize(("name", "exponent_bits", "dsp"), BUILDS)
def test_every_pair_and_the_largest_sums(name: str, exponent_bits: int, dsp: bool) -> None:
    chosen = mode(name, exponent_bits)
    jobs = [all_pairs(variant) for variant in variants(chosen)]
    jobs += [largest_sums(variant) for variant in (variants(chosen)[0], variants(chosen)[-1])]
    pairs = (
        len(all_codes(chosen.x_format)) ** chosen.x_lanes
        * len(all_codes(chosen.w_format)) ** chosen.w_lanes
    )
    assert jobs[0].x.size * jobs[0].w.size == pairs * chosen.products
    built = build(config(name, rows=4, cols=4, exponent_bits=exponent_bits, dsp=dsp))
    (group,) = simulate(built, [jobs]).groups
    for job, expected, got in zip(jobs, golden_backend(jobs), group.y, strict=True):
        comparison = compare(expected, got)
        assert comparison.exact, f"{job.name}: {comparison}"
    bound = chosen.output_bound * K_MAX
    assert abs(int(group.y[-1].min())) == int(group.y[-1].max()) == bound
