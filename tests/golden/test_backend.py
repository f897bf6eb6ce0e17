"""The golden backend: single jobs, stacks of equal jobs, and its bound on K."""

import numpy as np
import pytest

from golden.numeric.gemm import gemm_reference
from golden.numeric.requantize import requantize_value
from golden.schedule.backend import golden_backend
from golden.schedule.job import Backend, Epilogue, Job
from golden.spec.formats import Linear
from golden.spec.modes import mode
from tests.support.errors import raises
from tests.support.legal import random_codes

SEED = 20240301


def test_backend() -> None:
    backend: Backend = golden_backend
    rng = np.random.default_rng(SEED)
    print("seed", SEED)
    x, w = random_codes(rng, Linear(8), 4, 9), random_codes(rng, Linear(4), 9, 3)
    bias = np.array([-50, 0, 2**31 - 1], np.int32)
    epilogues = [
        Epilogue(np.array([20000, 32767, 0], np.int32), np.array([18, 22, 1], np.int32), bits)
        for bits in (8, 4)
    ]
    subject = mode("w4a8")
    raw, biased, coded, narrow, unbiased = backend(
        [
            Job("raw", subject, x, w),
            Job("biased", subject, x, w, bias),
            Job("coded", subject, x, w, bias, epilogues[0]),
            Job("narrow", subject, x, w, bias, epilogues[1]),
            Job("unbiased", subject, x, w, None, epilogues[0]),
        ]
    )
    acc = gemm_reference(x, w, subject)
    assert raw.dtype == biased.dtype == np.int64
    assert raw.tolist() == acc.tolist()
    assert biased.tolist() == (acc + bias).tolist()
    for result, offsets, epilogue in (
        (coded, bias, epilogues[0]),
        (narrow, bias, epilogues[1]),
        (unbiased, np.zeros(3, np.int32), epilogues[0]),
    ):
        assert result.dtype == np.int8
        columns = list(
            zip(offsets.tolist(), epilogue.mult.tolist(), epilogue.shift.tolist(), strict=True)
        )
        assert result.tolist() == [
            [
                requantize_value(a, b, m, s, epilogue.bits)
                for a, (b, m, s) in zip(row, columns, strict=True)
            ]
            for row in acc.tolist()
        ]
    assert len({str(y.tolist()) for y in (coded, narrow, unbiased)}) == 3
    assert backend([]) == []


@pytest.mark.parametrize("bits", [None, 8, 4])
def test_backend_stacks_what_belongs_together(bits: int | None) -> None:
    """Runs of equal jobs, interrupted by others: results are in order and equal to single jobs."""
    rng = np.random.default_rng(SEED)
    print("seed", SEED)
    epilogue = other = None
    if bits is not None:
        epilogue, other = (
            Epilogue(rng.integers(1, 2**15, 5), np.full(5, s), bits) for s in (21, 19)
        )

    def job(
        rows: int, name: str = "w8a8", epilogue: Epilogue | None = epilogue, biased: bool = False
    ) -> Job:
        chosen = mode(name)
        x, w = (
            random_codes(rng, chosen.x_format, rows, 30),
            random_codes(rng, chosen.w_format, 30, 5),
        )
        bias = rng.integers(-(2**14), 2**14, 5).astype(np.int32) if biased else None
        return Job(name, chosen, x, w, bias, epilogue)

    jobs = [job(3), job(3), job(3), job(2), job(3, "w4a8"), job(3, "w4a8"), job(3, biased=True)]
    jobs += [
        job(3, biased=True),
        job(3),
        job(3),
        job(3, epilogue=other),
        job(1, "wlog-a8"),
        job(1, "wpw-a8"),
    ]
    for y, subject in zip(golden_backend(jobs), jobs, strict=True):
        acc = gemm_reference(subject.x, subject.w, subject.mode) + (
            0 if subject.bias is None else subject.bias
        )
        if subject.epilogue is None:
            assert y.dtype == np.int64
            assert y.tolist() == acc.tolist()
        else:
            mult, shift = subject.epilogue.mult.tolist(), subject.epilogue.shift.tolist()
            assert y.dtype == np.int8
            assert y.tolist() == [
                [
                    requantize_value(a, 0, m, s, bits)
                    for a, m, s in zip(row, mult, shift, strict=True)
                ]
                for row in acc.tolist()
            ]


def test_backend_takes_a_bound_on_k() -> None:
    job = Job("long", mode("w8a8"), np.ones((1, 16), np.int8), np.ones((16, 1), np.int8))
    with raises("K: expected 1..8 (k_max), got 16"):
        golden_backend([job], k_max=8)
