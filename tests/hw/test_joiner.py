"""The joiner equals low + ratio * high, modulo the width of a sum."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.gateware.output.joiner import Joiner
from tests.support.rtl import PHASES, pipeline, refusal


def reference(low: int, high: int, ratio: int, width: int) -> int:
    half = 1 << width - 1
    return (low + ratio * high + half) % (2 * half) - half


@pytest.mark.parametrize("width", [6, 17, 33])
@given(data=st.data())
@settings(max_examples=8, deadline=None, phases=PHASES)
def test_equals_the_formula(width: int, data: st.DataObject) -> None:
    bound = 1 << width - 1
    sums = st.sampled_from([-bound, -1, 0, 1, bound - 1]) | st.integers(-bound, bound - 1)
    ratios = st.sampled_from([0, 1, 63]) | st.integers(0, 63)
    one = st.fixed_dictionaries({"low": sums, "high": sums, "ratio": ratios})
    given_in = data.draw(st.lists(one, min_size=40, max_size=80))
    joiner = Joiner(width=width)
    expected = [reference(**each, width=width) for each in given_in]
    assert pipeline(joiner, joiner.latency, joiner.y, given_in) == expected


@pytest.mark.parametrize("width", [5, 0, "8"])
def test_widths_that_it_refuses(width: int) -> None:
    expected = f"width: expected at least 6 bits, got {width!r}"
    assert refusal(Joiner, width=width) == expected
