"""Processing element of log2 codes: a shifter instead of a multiplier."""

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
from hw.gateware.array.mesh import forwarded, pe_signature
from hw.gateware.lib.carry import Chain, Term, bit, select
from hw.gateware.lib.delay import register
from hw.operands import POWER_FLAGS, exponent_bits, has_coarse_x, has_power_x, power_layout
from hw.target import kept_apart

__all__ = ["ShiftPE"]

COARSE = 8
"""Bits by which the `coarse` flag of an x operand shifts it."""


@kept_apart
class ShiftPE(wiring.Component):
    """Shift-accumulate unit, for builds whose `product` is `Product.SHIFTER`.

    Formula: acc' = acc + x * (-1)^s * 2^e, with s and e from w. With `tag.last` the sum enters the
    drain chain and the next sum starts from 0.

    A linear x is shifted by 1, 2, 4, ... in turn, two multiplexers between registers; the last
    multiplexer is part of the accumulator's adder. A negative sign inverts all bits in the stage
    before the last and enters the adder as its carry.

    Two powers add their exponents, and one bit of the addend is set: the crossing of a row and a
    column of four. The addend has a register, so that the adder's cells have an input for the gate
    that restarts the sum.

    Parameters:
        config: Build, which gives the widths and the modes.

    Members: `pe_signature`, with w as a power, and x as `hw.operands` defines it for a shifter.

    Latency: `latency`. Throughput: one pair of operands per cycle, without flow control; x = 0 adds
    nothing. A reset of one cycle clears all sums.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(pe_signature(config))

    @staticmethod
    def latency_of(config: Config) -> int:
        """Return the `latency` of a PE of this build."""
        return _addend_latency(config) + (
            REGISTER_LATENCY if has_power_x(config.modes) else ADDER_LATENCY
        )

    @property
    def latency(self) -> int:
        """Cycles from operands with `last` to their sums at `drain_o` (the lower part)."""
        return self.latency_of(self._config)

    def elaborate(self, platform: object) -> Module:
        config = self._config
        m = Module()
        x, w, tag, _ = forwarded(m, config, self)
        last: Value = tag.last
        if has_power_x(config.modes):
            addend, negative = self._crossing(m, x, w)
            sums, _ = accumulate_from_register(
                m,
                platform,
                name="0",
                addend=addend,
                carry_in=bit(negative),
                last=self._delayed(m, last),
                drain_i=self.drain_i,
                loads=config.sum_width,
            )
        else:
            terms, negative = self._shifted(m, x, w)
            sums = accumulate(
                m,
                Chain(m, platform),
                name="0",
                addend=terms,
                carry_in=bit(negative),
                last=self._delayed(m, last),
                drain_i=self.drain_i,
                split=config.parts[0][0] if config.staggered else None,
            )
        m.d.comb += self.drain_o.eq(sums)
        return m

    def _delayed(self, m: Module, last: Value) -> Value:
        """Return `last` in the cycle of its addend."""
        for stage in range(1, _addend_latency(self._config)):
            last = register(m, last, f"last_{stage}", init=1)
        return last

    def _shifted(self, m: Module, x: Value, w: Value) -> tuple[Sequence[Term], Value]:
        """Return the addend of a linear x and a power w, and its sign."""
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
            value = register(m, value, f"shifted_{number}")
            controls = register(m, controls, f"controls_{number}")
            negative = register(m, negative, f"negative_{number}")
        # Below an inverted value its zeros are ones; above a value its sign bit is repeated.
        step = amounts[-1]
        extended = [*value, *[value[-1]] * config.sum_width]
        moved = [negative] * step + extended
        terms = [
            select(controls[-1], moved[j], extended[j]) if j < len(value) + step else bit(value[-1])
            for j in range(config.sum_width)
        ]
        return terms, negative

    def _crossing(self, m: Module, x: Value, w: Value) -> tuple[Value, Value]:
        """Return the addend of two powers, and its sign."""
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
            # A factor of 0 clears the column, so no bit of the product is set.
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
        addend = register(m, product ^ negative.replicate(len(product)), "addend")
        carry_in = register(m, negative, "carry_in")
        return Cat(addend, carry_in.replicate(self._config.sum_width - len(addend))), carry_in


def _addend_latency(config: Config) -> int:
    """Return the cycles from operands at the ports to their addend."""
    return 1 + (3 if has_power_x(config.modes) else len(_stages(config)))


def _stages(config: Config) -> list[list[int]]:
    """Return the shifter's control bits but the last, by pipeline stage."""
    steps = max(exponent_bits(config.modes)) + int(has_coarse_x(config.modes)) - 1
    return [list(range(first, min(first + 2, steps))) for first in range(0, steps, 2)]
