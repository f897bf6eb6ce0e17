"""Registers, delays, counters, extensions and reset stages against one line of Python each."""

from collections.abc import Callable
from typing import Any

import pytest
from amaranth import Module, ResetSignal, Signal, signed
from amaranth.hdl import Fragment
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.gateware.lib.bits import extended
from hw.gateware.lib.counter import counter, wrapped
from hw.gateware.lib.delay import Delay, register
from hw.gateware.lib.reset import ResetStage, staged
from tests.support.unit_run import rtl_run

Build = Callable[[Module, Any], Any]


class Box(wiring.Component):
    """A function as a component: i In(`shape`), o Out(`result`); `build` makes o of (m, i)."""

    def __init__(self, shape: Any, result: Any, build: Build):
        self._build = build
        super().__init__({"i": In(shape), "o": Out(result)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.o.eq(self._build(m, self.i))
        return m


def outputs(box: Box, inputs: list[int], resets: tuple[int, ...] = ()) -> list[int]:
    """`o` in each cycle; `resets` are the cycles with a reset."""
    stimulus = [{"i": each, "rst": int(n in resets)} for n, each in enumerate(inputs)]
    return [o for (o,) in rtl_run(box, stimulus, ["o"])]


@pytest.mark.parametrize("cycles", [0, 1, 4])
def test_delay(cycles: int) -> None:
    inputs = [3, -4, 0, 1, 2, -1, 3, 3, 2]
    box = Box(signed(3), signed(3), lambda m, i: Delay(m)(i, cycles, "i"))
    assert outputs(box, inputs) == [0] * cycles + inputs[: len(inputs) - cycles]


def test_delay_of_less_than_no_cycles() -> None:
    m = Module()
    with pytest.raises(ValueError, match=r"^cycles: expected at least 0, got -1$"):
        Delay(m)(Signal(), -1, "i")
    # A module that nothing elaborates would raise a warning.
    Fragment.get(m, None)


def test_reset_of_registers() -> None:
    """A register with `init` takes it at a reset; one without it ignores the reset."""
    inputs = [1, 2, 3, 4, 5, 6]
    kept = Box(3, 3, lambda m, i: register(m, i, "i"))
    cleared = Box(3, 3, lambda m, i: register(m, i, "i", init=7))
    assert outputs(kept, inputs, (2,)) == [0, 1, 2, 3, 4, 5]
    assert outputs(cleared, inputs, (2,)) == [7, 1, 2, 7, 4, 5]
    twice = Box(3, 3, lambda m, i: Delay(m)(i, 2, "i", init=7))
    assert outputs(twice, inputs, (2,)) == [7, 7, 1, 7, 7, 4]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 7, 8, 13])
def test_wrapped(count: int) -> None:
    """Every value and every step."""
    values = list(range(count))
    for step in range(1, count + 1):
        box = Box(range(count), range(count), lambda m, i, step=step: wrapped(i, count, step))
        assert outputs(box, values) == [(value + step) % count for value in values]


@pytest.mark.parametrize("step", [0, 6])
def test_wrapped_by_a_step_out_of_range(step: int) -> None:
    with pytest.raises(ValueError, match=rf"^step: expected 1\.\.5, got {step}$"):
        wrapped(Signal(3), 5, step)


@pytest.mark.parametrize("count", [1, 2, 5, 8])
def test_counter(count: int) -> None:
    enables = [1, 0, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1]
    box = Box(1, range(count), lambda m, i: counter(m, count, i, "place"))
    assert outputs(box, enables) == [sum(enables[:n]) % count for n in range(len(enables))]


@pytest.mark.parametrize("width", [1, 3, 4, 9])
def test_extended(width: int) -> None:
    """Every value of four bits, signed and unsigned, wider and narrower."""
    mask = (1 << width) - 1
    for shape, values in ((signed(4), range(-8, 8)), (4, range(16))):
        box = Box(shape, width, lambda m, i: extended(i, width))
        assert outputs(box, list(values)) == [value & mask for value in values]


def test_reset_stage() -> None:
    resets = [0, 1, 1, 0, 0, 1, 0, 0]
    rows = rtl_run(ResetStage(), [{"earlier": each} for each in resets], ["reset"])
    assert [reset for (reset,) in rows] == [0, *resets[:-1]]


def test_reset_stages_in_series() -> None:
    """Stages ignore the reset of their domain: it comes out of the third three cycles later."""

    def build(m: Module, i: Any) -> Any:
        reset = ResetSignal() | i
        for number in range(3):
            reset = staged(m, str(number), reset, None)
        return reset

    assert outputs(Box(1, 1, build), [0] * 4 + [1] + [0] * 5, (1,)) == [
        0,
        0,
        0,
        0,
        1,
        0,
        0,
        1,
        0,
        0,
    ]
