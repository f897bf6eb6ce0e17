"""The processing element of log2 builds: sign, shifter, adder."""

from collections.abc import Sequence

from amaranth import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring

from hw.config import Config
from hw.gateware.array.accumulator import (
    ADDER_LATENCY,
    REGISTER_LATENCY,
    accumulate,
    accumulate_from_register,
)
from hw.gateware.array.pe import pe_members, tag_layout
from hw.gateware.lib.carry import Chain, Term, bit, select
from hw.operands import POWER_FLAGS, exponent_bits, has_coarse_x, has_power_x, power_layout
from hw.target import kept_apart

COARSE = 8
"""The shift that a `coarse` x asks for."""


@kept_apart
class ShiftPE(wiring.Component):
    """acc += x * (-1)^s * 2^e; with tag.last the sum enters the drain chain, and the next starts from zero.

    Members, all as in `PE`, with w a power and x as `hw.operands` says for a shifter. For builds
    whose `product` is a shifter's.

    A number x is shifted in steps of 1, 2, 4, ..., two of them between registers; the last step is
    part of the adder, the sign inverts all bits in the step before it and enters as carry. Two
    powers add their exponents and set one bit, found as the crossing of a row and a column of four;
    it has a register, so that the adder's cells have room for the gate that drops the old sum.

    Latency `latency`, one set of operands per cycle, no flow control: x = 0 adds nothing.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(pe_members(config))

    @staticmethod
    def latency_of(config: Config) -> int:
        """`latency` of a PE of this build."""
        return addend_latency(config) + (
            REGISTER_LATENCY if has_power_x(config.modes) else ADDER_LATENCY
        )

    @property
    def latency(self) -> int:
        """Cycles from operands at the inputs to their captured sums at `drain_o`."""
        return self.latency_of(self._config)

    def elaborate(self, platform: object) -> Module:
        config = self._config
        m = Module()
        x, w = Signal.like(self.x_o, reset_less=True), Signal.like(self.w_o, reset_less=True)
        tag = Signal(tag_layout(config), init={"last": 1})
        m.d.sync += [x.eq(self.x), w.eq(self.w), tag.eq(self.tag)]
        m.d.comb += [self.x_o.eq(x), self.w_o.eq(w), self.tag_o.eq(tag)]
        if has_power_x(config.modes):
            addend, negative = self._crossing(m, x, w)
            last = self._ended(m, tag.last)
            sums, _ = accumulate_from_register(
                m, config, platform, "0", addend, bit(negative), last, self.drain_i
            )
        else:
            terms, negative = self._shifted(m, x, w)
            last = self._ended(m, tag.last)
            sums = accumulate(
                m, config, Chain(m, platform), "0", terms, bit(negative), last, self.drain_i
            )
        m.d.comb += self.drain_o.eq(sums)
        return m

    def _ended(self, m: Module, last: Value) -> Value:
        """`last` with the addend."""
        for stage in range(1, addend_latency(self._config)):
            previous, last = last, Signal(name=f"last_{stage}", init=1)
            m.d.sync += last.eq(previous)
        return last

    def _shifted(self, m: Module, x: Value, w: Value) -> tuple[Sequence[Term], Value]:
        """The addend of a number and a power, and its sign."""
        config = self._config
        power = data.View(power_layout(len(w) - POWER_FLAGS), w)
        amounts = [1 << index for index in range(len(power.exponent))]
        controls: Value = power.exponent
        if has_coarse_x(config.modes):
            x, controls = x[:-1].as_signed(), Cat(controls, x[-1])
            amounts.append(COARSE)
        value, negative = x, power.negative
        for number, stage in enumerate(_stages(config)):
            for index in stage:
                value = Mux(controls[index], value << amounts[index], value)
                if index == 0:
                    value = Mux(power.nonzero, value, 0)
                if index == len(amounts) - 2:
                    value = Mux(negative, ~value, value)
            registers = Signal.like(value, name=f"shifted_{number}", reset_less=True)
            left = Signal(len(controls), name=f"controls_{number}", reset_less=True)
            sign = Signal(name=f"negative_{number}", reset_less=True)
            m.d.sync += [registers.eq(value), left.eq(controls), sign.eq(negative)]
            value, controls, negative = registers, left, sign
        # Below the number its sign, so that inverted zeros are ones; above it its own sign.
        step = amounts[-1]
        extended = [*value, *[value[-1]] * config.sum_width]
        moved = [negative] * step + extended
        terms = [
            select(controls[-1], moved[j], extended[j]) if j < len(value) + step else bit(value[-1])
            for j in range(config.sum_width)
        ]
        return terms, negative

    def _crossing(self, m: Module, x: Value, w: Value) -> tuple[Value, Value]:
        """The addend of two powers, and its sign."""
        layout = power_layout(len(w) - POWER_FLAGS)
        a, b = data.View(layout, x), data.View(layout, w)
        fine = Signal(3)
        coarse = Signal(range(2 * (1 << len(a.exponent[2:])) - 1), reset_less=True)
        column, column_2 = Signal(4, reset_less=True), Signal(4, reset_less=True)
        row = Signal(1 << len(coarse), reset_less=True)
        carry, sign, negative = (
            Signal(reset_less=True),
            Signal(reset_less=True),
            Signal(reset_less=True),
        )
        m.d.comb += fine.eq(a.exponent[:2] + b.exponent[:2])
        m.d.sync += [
            # A product of 0 has no column, so that no bit is set.
            column.eq(Mux(a.nonzero & b.nonzero, C(1) << fine[:2], 0)),
            carry.eq(fine[2]),
            coarse.eq(a.exponent[2:] + b.exponent[2:]),
            sign.eq(a.negative ^ b.negative),
            column_2.eq(column),
            row.eq(C(1) << (coarse + carry)),
            negative.eq(sign),
        ]
        product = Cat(
            row[j // 4] & column_2[j % 4] for j in range(2 * ((1 << len(a.exponent)) - 2) + 1)
        )
        addend, carry_in = Signal.like(product, reset_less=True), Signal(reset_less=True)
        m.d.sync += [addend.eq(product ^ negative.replicate(len(product))), carry_in.eq(negative)]
        return Cat(addend, carry_in.replicate(self._config.sum_width - len(addend))), carry_in


def addend_latency(config: Config) -> int:
    """Cycles from operands at the inputs to what they add."""
    return 1 + (3 if has_power_x(config.modes) else len(_stages(config)))


def _stages(config: Config) -> list[list[int]]:
    """Steps of the shifter but the last, as indices of the bits that ask for them, by pipeline stage."""
    steps = max(exponent_bits(config.modes)) + int(has_coarse_x(config.modes)) - 1
    return [list(range(first, min(first + 2, steps))) for first in range(0, steps, 2)]
