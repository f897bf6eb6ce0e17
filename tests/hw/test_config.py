"""Builds: every mode, and every variant of its codes, against every build of one mode."""

import re
from dataclasses import replace

import numpy as np
import pytest

from golden.schedule.backend import golden_backend
from golden.spec.formats import Format, Linear, Log2, Piecewise
from golden.spec.modes import MODE_NAMES, Mode, mode
from hw.config import Config
from sim.build import build
from sim.compare import compare
from sim.simulation import simulate
from tests.support.jobs import config, random_job

BUILT = [
    mode(name, bits)
    for name in MODE_NAMES
    for bits in ((3, 4, 5) if name == "wlog-a8" else (3, 4) if name == "wlog-alog" else (4,))
]
"""Every mode that a build can have."""


def narrower(fmt: Format) -> list[Format]:
    """All formats of the same kind that have no larger value."""
    match fmt:
        case Linear(bits):
            return [Linear(fewer) for fewer in range(2, bits + 1)]
        case Log2(bits):
            return [Log2(fewer) for fewer in range(3, bits + 1)]
    return [
        Piecewise(ratio, offset, bits)
        for ratio, offset in ((1, 0), (9, 7), (63, 63))
        for bits in range(4, 9)
    ]


def variants(chosen: Mode) -> list[Mode]:
    """Copies of a mode with the formats that its sums have room for."""
    return [
        replace(chosen, x_format=x_format, w_format=w_format)
        for x_format in narrower(chosen.x_format)
        for w_format in narrower(chosen.w_format)
    ]


def legal(built: Mode, given: Mode) -> bool:
    """The table, one line for each thing that the hardware fixes: what decoders look at."""
    return (
        built.name == given.name
        and exponents(built) == exponents(given)
        and all(
            fmt.bits == 8 for fmt in (given.x_format, given.w_format) if isinstance(fmt, Piecewise)
        )
    )


def exponents(chosen: Mode) -> list[int]:
    return [
        fmt.exponent_bits for fmt in (chosen.x_format, chosen.w_format) if isinstance(fmt, Log2)
    ]


GIVEN = list(dict.fromkeys(variant for chosen in BUILT for variant in variants(chosen)))


@pytest.mark.parametrize("built", BUILT, ids=lambda built: f"{built.name}-{built.w_format}")
def test_a_build_takes_codes_that_its_decoders_read_and_no_others(built: Mode) -> None:
    subject = Config(modes=(built,), rows=2, cols=2)
    taken, refused = set(), 0
    for given in GIVEN:
        if legal(built, given):
            assert subject.index(given) == 0, given
            taken.add((given.x_format, given.w_format))
        else:
            with pytest.raises(ValueError, match=r"^mode: expected .*, got "):
                subject.index(given)
            refused += 1
    # Linear codes of 2 bits to the build's, and three pairs of ratio and offset.
    widths = [fmt.bits - 1 for fmt in (built.x_format, built.w_format) if isinstance(fmt, Linear)]
    assert len(taken) == np.prod(widths) * (3 if isinstance(built.w_format, Piecewise) else 1)
    assert refused > 150


def test_the_message_names_both_layouts() -> None:
    subject = config("w8a8", "wlog-a8", rows=2, cols=2)
    expected = (
        "mode: expected wlog-a8 (linear-8 x log2-4 codes, 1 x 1 to a PE), "
        "got wlog-a8 (linear-8 x log2-3 codes, 1 x 1 to a PE)"
    )
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        subject.index(mode("wlog-a8", 3))


@pytest.mark.parametrize(
    "given",
    [
        Mode("w4a4", Linear(5), Linear(4), 2, 2),
        Mode("w4a4", Linear(4), Linear(8), 2, 2),
        Mode("w4a4", Linear(4), Linear(4)),
        Mode("w4a4", Linear(4), Linear(4), w_lanes=2),
        Mode("w4a4", Linear(4), Log2(3), 2, 2),
        Mode("w8a8", Linear(8), Piecewise()),
        Mode("w8a8", Log2(3), Linear(8)),
    ],
)
def test_codes_of_another_width_number_or_kind_are_refused(given: Mode) -> None:
    with pytest.raises(
        ValueError, match=rf"^mode: expected {given.name} \(.*, got {given.name} \("
    ):
        config("w8a8", "w4a4", rows=2, cols=2).index(given)


@pytest.mark.parametrize("bits", range(4, 8))
def test_no_build_has_piecewise_codes_of_other_bits(bits: int) -> None:
    narrow = replace(mode("wpw-a8"), w_format=Piecewise(bits=bits))
    with pytest.raises(
        ValueError,
        match=rf"^mode: expected piece-wise codes of 8 bits in wpw-a8, got piecewise-{bits}",
    ):
        Config(modes=(narrow,), rows=2, cols=2)


@pytest.mark.slow
def test_every_code_that_is_taken_is_computed_as_golden_does() -> None:
    """One build of all modes computes variants of all of them in turn."""
    rng = np.random.default_rng(20261125)
    subject = config(*MODE_NAMES, rows=2, cols=3)
    jobs = []
    for given in GIVEN:
        job = random_job(rng, given, (3, 5, 4), requantize=bool(rng.integers(2)))
        if given in subject.modes or legal(mode(given.name), given):
            jobs.append(job)
        else:
            with pytest.raises(ValueError, match=r"^mode: expected "):
                simulate(build(subject), [[job]])
    (group,) = simulate(build(subject), [jobs]).groups
    for job, expected, got in zip(jobs, golden_backend(jobs), group.y, strict=True):
        comparison = compare(expected, got)
        assert comparison.exact, f"{job.mode}: {comparison}"
