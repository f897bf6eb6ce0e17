"""The requantizer behind its multipliers equals its formula, for every product."""

import pytest
from amaranth import Module, Mux, Signal, Value, signed

from hw.config import MULT_WIDTH
from hw.gateware.output import requantizer
from hw.gateware.output.requantizer import Requantizer
from tests.support.fault import planted
from tests.support.proof import Bench, RefutedError, prove

WIDTHS = [1, 27, 38, 43, 64]
"""Bits of sums: the bounds, and widths between them."""

FAULTS = {
    "the sign of a product cut short": (
        "negative = delay(shifted[-1], 2",
        "negative = delay(shifted[self._result_width - 1], 2",
    ),
    "halves rounded down": ("return (doubled + 1) >> 1", "return doubled >> 1"),
    "a bound off by one": ("rounded < -127", "rounded < -128"),
    "a group of high bits left out": ("inside.eq(ones.all()", "inside.eq(ones[1:].all()"),
    "4 bits clamped to 8": ("delay(narrow, 1", "delay(narrow & 0, 1"),
    "a raw result clamped": ("Mux(raw, last,", "Mux(raw & ~high, last,"),
}


class FreeProduct(Requantizer):
    """A requantizer whose product is an input."""

    def __init__(self, sum_width: int):
        super().__init__(sum_width=sum_width)
        self.product = Signal(signed(self.result_width + MULT_WIDTH))

    def _scale(self, m: Module, platform: object) -> Value:
        product = Signal.like(self.product, reset_less=True)
        m.d.sync += product.eq(self.product)
        return product


def bench_of(sum_width: int) -> Bench:
    bench = Bench()
    bench.m.submodules.unit = unit = FreeProduct(sum_width)
    product = bench.free(unit.product.shape(), "product")
    scaling = bench.free(unit.scaling.shape(), "scaling")
    raw, narrow = bench.free(1, "raw"), bench.free(1, "narrow")
    multiplied = unit.latency - 8
    # Inputs that belong together: the product arrives with the result of the multipliers.
    bench.m.d.comb += [
        unit.product.eq(product),
        unit.scaling.eq(scaling),
        unit.raw.eq(raw),
        unit.narrow.eq(narrow),
    ]
    shift = bench.past(scaling.shift, multiplied)
    was_raw, was_narrow = bench.past(raw, multiplied), bench.past(narrow, multiplied)
    # A plain reading of the formula, on one wide word.
    sum_and_half = Signal(signed(len(product) + 1))
    clamped = Signal(signed(unit.result_width))
    most = Mux(was_narrow, 7, 127)
    shifted = Signal.like(sum_and_half)
    bench.m.d.comb += [
        sum_and_half.eq(product + (1 << (shift - 1)[:6])),
        shifted.eq(sum_and_half >> shift),
        clamped.eq(
            Mux(
                was_raw,
                product[: unit.result_width].as_signed(),
                Mux(shifted > most, most, Mux(shifted < -most, -most, shifted)),
            )
        ),
    ]
    settled = bench.since_start(unit.latency) == unit.latency
    expected = bench.past(clamped, unit.latency - multiplied)
    legal = bench.past(was_raw | ((shift >= 1) & (shift <= 47)), unit.latency - multiplied)
    bench.require(~settled | ~legal | (unit.y == expected), "y")
    return bench


@pytest.mark.parametrize("sum_width", WIDTHS)
def test_equals_the_formula(sum_width: int) -> None:
    prove(bench_of(sum_width), Requantizer.latency_of(True) + 2)


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    with planted(requantizer, *FAULTS[fault]), pytest.raises(RefutedError):
        prove(bench_of(43), Requantizer.latency_of(True) + 2)
