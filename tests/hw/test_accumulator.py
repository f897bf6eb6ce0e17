"""Both accumulators against a plain loop: sums, capture, drain chain, parts, carries."""

from dataclasses import dataclass

import pytest
from amaranth import Cat, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from hypothesis import given, settings
from hypothesis import strategies as st

from hw.gateware.array.accumulator import (
    ADDER_LATENCY,
    REGISTER_LATENCY,
    accumulate,
    accumulate_from_register,
)
from hw.gateware.lib.carry import Chain, bit
from hw.gateware.lib.delay import register
from tests.support.unit_run import rtl_run


@dataclass(frozen=True)
class Step:
    """The inputs of one cycle; `drain` is the drain register of the PE below."""

    addend: int
    carry: int
    last: int
    drain: int


def steps(width: int) -> st.SearchStrategy[list[Step]]:
    number = st.integers(0, (1 << width) - 1)
    flag = st.integers(0, 1)
    return st.lists(st.builds(Step, number, flag, flag, number), min_size=1, max_size=40)


class Accumulator(wiring.Component):
    """One accumulator behind registers for its addend and its flag.

    Members: addend In(width), carry In(1), last In(1), drain In(width); sums Out(width). `drain` is
    not registered. `split` is as in `accumulate`; `from_register` chooses the other form.
    """

    def __init__(self, *, width: int, split: int | None = None, from_register: bool = False):
        self._width, self._split, self._from_register = width, split, from_register
        ports = {"addend": In(width), "carry": In(1), "last": In(1), "drain": In(width)}
        super().__init__(ports | {"sums": Out(width)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        addend, carry = register(m, self.addend, "addend"), register(m, self.carry, "carry")
        common = {
            "name": "0",
            "carry_in": bit(carry),
            "last": register(m, self.last, "last", init=1),
            "drain_i": self.drain,
        }
        if self._from_register:
            sums, _ = accumulate_from_register(
                m, platform, addend=addend, loads=self._width, **common
            )
        else:
            terms = [bit(each) for each in addend]
            sums = accumulate(m, Chain(m, platform), addend=terms, split=self._split, **common)
        m.d.comb += self.sums.eq(sums)
        return m


def expected(width: int, stimulus: list[Step], latency: int) -> list[int]:
    """The drain register after each step of the flag's own pipeline: a plain loop."""
    total, rows = 0, []
    for number, step in enumerate(stimulus):
        total = (total + step.addend + step.carry) % (1 << width)
        drain = stimulus[number + latency].drain if number + latency < len(stimulus) else 0
        rows.append(total if step.last else drain)
        total = 0 if step.last else total
    return rows


def run(unit: Accumulator, stimulus: list[Step], latency: int) -> list[int]:
    inputs = [
        {"addend": s.addend, "carry": s.carry, "last": s.last, "drain": s.drain} for s in stimulus
    ]
    idle = {"addend": 0, "carry": 0, "last": 0, "drain": 0}
    rows = rtl_run(unit, [*inputs, *[idle] * (latency + 1)], ["sums"])
    # A register of the input, then the latency: the sum shows in the cycle after it.
    return [sums for (sums,) in rows[latency + 1 :]]


@pytest.mark.parametrize("width", [1, 5, 33])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_from_the_adder(width: int, data: st.DataObject) -> None:
    stimulus = data.draw(steps(width))
    found = run(Accumulator(width=width), stimulus, ADDER_LATENCY)
    assert found == expected(width, stimulus, ADDER_LATENCY)


@pytest.mark.parametrize("width", [1, 5, 33])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_from_the_register(width: int, data: st.DataObject) -> None:
    stimulus = data.draw(steps(width))
    found = run(Accumulator(width=width, from_register=True), stimulus, REGISTER_LATENCY)
    assert found == expected(width, stimulus, REGISTER_LATENCY)


@pytest.mark.parametrize(("width", "split"), [(2, 1), (9, 4), (44, 22)])
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_two_parts(width: int, split: int, data: st.DataObject) -> None:
    """The lower part as in one accumulator, the upper part a cycle later."""
    stimulus = data.draw(steps(width))
    unit = Accumulator(width=width, split=split)
    inputs = [
        {"addend": s.addend, "carry": s.carry, "last": s.last, "drain": s.drain} for s in stimulus
    ]
    idle = {"addend": 0, "carry": 0, "last": 0, "drain": 0}
    rows = [sums for (sums,) in rtl_run(unit, [*inputs, *[idle] * 3], ["sums"])]
    low = (1 << split) - 1
    early = expected(width, stimulus, ADDER_LATENCY)
    late = expected(width, stimulus, ADDER_LATENCY + 1)
    assert [sums & low for sums in rows[2:-1]] == [sums & low for sums in early]
    assert [sums >> split for sums in rows[3:]] == [sums >> split for sums in late]


class CarryOut(wiring.Component):
    """One accumulator, its carry above its drain register."""

    def __init__(self, width: int):
        self._width = width
        super().__init__({"addend": In(width), "total": Out(width + 1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        addend, last = register(m, self.addend, "addend"), register(m, 0, "last", init=1)
        sums, carry = accumulate_from_register(
            m,
            platform,
            name="0",
            addend=addend,
            carry_in=None,
            last=last,
            drain_i=addend,
            loads=self._width,
            carry_out=True,
        )
        m.d.comb += self.total.eq(Cat(sums, carry))
        return m


def test_carry_out() -> None:
    """The carry of each addition, in the cycle of the addend."""
    addends = [3, 5, 7, 7, 1, 0, 7, 7]
    rows = rtl_run(CarryOut(3), [*({"addend": each} for each in addends), {}], ["total"])
    total, carries = 0, []
    for addend in addends:
        total += addend
        carries.append(total >> 3)
        total &= 7
    assert [word >> 3 for (word,) in rows[1:]] == carries
