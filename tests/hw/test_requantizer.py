"""The requantizer equals its formula, for sums of any width and all parameters."""

import pytest
from amaranth.hdl import Fragment
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.numeric.requantize import requantize_value
from hw.gateware.output.requantizer import Requantizer
from tests.support.rtl import PHASES, pipeline, refusal


def reference(total: int, scaling: dict[str, int], raw: int, narrow: int) -> int:
    if raw:
        return total + scaling["bias"]
    bits = 4 if narrow else 8
    return requantize_value(total, scaling["bias"], scaling["mult"], scaling["shift"], bits)


def signed(width: int) -> st.SearchStrategy[int]:
    """Numbers of `width` bits: bounds, small ones, and any."""
    low, high = -(1 << width - 1), (1 << width - 1) - 1
    return st.sampled_from([low, low + 1, -1, 0, 1, high]) | st.integers(low, high)


def inputs(sum_width: int) -> st.SearchStrategy[list[dict]]:
    scaling = st.fixed_dictionaries(
        {
            "bias": signed(32),
            "mult": st.sampled_from([0, 1, (1 << 15) - 1]) | st.integers(0, (1 << 15) - 1),
            "shift": st.integers(1, 47),
        }
    )
    bit = st.integers(0, 1)
    one = st.fixed_dictionaries(
        {"sum": signed(sum_width), "scaling": scaling, "raw": bit, "narrow": bit}
    )
    return st.lists(one, min_size=40, max_size=80)


@pytest.mark.parametrize("blocks", [True, False])
@pytest.mark.parametrize("sum_width", [8, 43])
@given(data=st.data())
@settings(max_examples=4, deadline=None, phases=PHASES)
def test_equals_the_formula(sum_width: int, blocks: bool, data: st.DataObject) -> None:
    given_in = data.draw(inputs(sum_width))
    requantizer = Requantizer(sum_width=sum_width, blocks=blocks)
    expected = [
        reference(each["sum"], each["scaling"], each["raw"], each["narrow"]) for each in given_in
    ]
    assert pipeline(requantizer, requantizer.latency, requantizer.y, given_in) == expected


def test_halves_round_up() -> None:
    requantizer = Requantizer(sum_width=8)
    halves = range(-9, 10, 2)
    scaling = {"bias": 0, "mult": 1, "shift": 1}
    given_in = [{"sum": value, "scaling": scaling} for value in halves]
    found = pipeline(requantizer, requantizer.latency, requantizer.y, given_in)
    assert found == [(value + 1) // 2 for value in halves]


def test_attributes() -> None:
    assert (Requantizer.latency_of(True), Requantizer.latency_of(False)) == (12, 15)
    for sum_width, expected in ((8, 33), (40, 41)):
        requantizer = Requantizer(sum_width=sum_width)
        assert requantizer.result_width == len(requantizer.y) == expected
        Fragment.get(requantizer, None)


@pytest.mark.parametrize("width", [0, 65, 8.0])
def test_widths_that_it_refuses(width: int) -> None:
    expected = f"sum_width: expected 1 to 64 bits, got {width!r}"
    assert refusal(Requantizer, sum_width=width) == expected
