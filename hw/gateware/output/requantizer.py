"""The requantizer: adds a bias to a sum, and scales it to an 8- or 4-bit code."""

from collections.abc import Sequence

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import BIAS_WIDTH, MULT_WIDTH, SHIFT_WIDTH
from hw.gateware.lib.delay import Delay
from hw.gateware.lib.multiplier import MAX_WIDTH, Multiplier
from hw.gateware.lib.row_multiplier import RowMultiplier
from hw.target import kept_apart, place

__all__ = ["SCALING_LAYOUT", "Requantizer"]

SCALING_LAYOUT = data.StructLayout(
    {"bias": signed(BIAS_WIDTH), "mult": MULT_WIDTH, "shift": SHIFT_WIDTH}
)
"""Parameters of an output column: bias (32 bits, signed), mult (15 bits), shift (6 bits)."""

DIGIT = MAX_WIDTH - 1
"""Bits of a sum that one multiplier takes: with a sign in front they fill its operand."""

NEAR = 10
"""Low bits of a shifted product that are rounded and compared with the bounds.

The bits above only say whether the product is far outside the bounds.
"""

WIDEST_SUM = 64
"""Most bits of a sum."""


@kept_apart
class Requantizer(wiring.Component):
    """Computes a code from a sum, or with `raw` only adds the bias.

    Formula:
      y = clamp(((sum + bias) * mult + 2^(shift - 1)) >> shift, -M, M), exact
      y = sum + bias, if raw
      M = 127, or 7 if narrow. >> rounds towards minus infinity, so a half rounds up: TOSA's
      apply_scale_16 with single rounding

    Parameters (keyword-only):
      sum_width   bits of a sum, 1..64
      blocks      multiply in the family's multiplier blocks; False uses look-up tables alone

    Members:
      sum In(signed sum_width)    the sum
      scaling In(SCALING_LAYOUT)  bias (signed, 32 bits), mult 0..2^15-1, shift 1..47
      raw In(1), narrow In(1)     as in the formula
      y Out(signed result_width)  the result, `latency` cycles later

    Attributes:
      latency        12 cycles with blocks, 15 without
      result_width   max(sum_width, 32) + 1 bits

    Raises ValueError for other widths.

    Throughput: one result a cycle. No flow control, no reset: all registers are of the domain
    `sync` and keep their contents at a reset. Other shifts than 1..47 give undefined results.

    Stages: bias; the multipliers, one for each digit of DIGIT bits; the sum of their
    products (2); the shift, two bits of its amount at a time (3); rounding; comparison with the
    bounds (2); clamp.
    """

    def __init__(self, *, sum_width: int, blocks: bool = True):
        if not isinstance(sum_width, int) or not 1 <= sum_width <= WIDEST_SUM:
            raise ValueError(f"sum_width: expected 1 to {WIDEST_SUM} bits, got {sum_width!r}")
        self._blocks = blocks
        self._result_width = max(sum_width, BIAS_WIDTH) + 1
        super().__init__(
            {
                "sum": In(signed(sum_width)),
                "scaling": In(SCALING_LAYOUT),
                "raw": In(1),
                "narrow": In(1),
                "y": Out(signed(self._result_width)),
            }
        )

    @property
    def result_width(self) -> int:
        """Bits of a result."""
        return self._result_width

    @property
    def latency(self) -> int:
        """Cycles from a sum to its result."""
        return self.latency_of(self._blocks)

    @classmethod
    def latency_of(cls, blocks: bool) -> int:
        """Cycles from a sum to its result, with multiplier blocks or without."""
        return 10 + cls._multiplier_latency(blocks)

    @staticmethod
    def _multiplier_latency(blocks: bool) -> int:
        return Multiplier.latency if blocks else RowMultiplier.latency_of(MULT_WIDTH)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        delay = Delay(m)
        multiplied = self._multiplier_latency(self._blocks)
        product = self._scale(m, platform)
        # A raw result takes the same path: it is multiplied by 1 and shifted by 0. One bit is kept
        # below the point, so that rounding adds 1 instead of a shifted constant.
        amount = Signal(SHIFT_WIDTH, reset_less=True)
        m.d.sync += amount.eq(Mux(self.raw, 0, self.scaling.shift - 1))
        shifted = self._shift(m, product, delay(amount, 2 + multiplied, "shift"))
        narrow = delay(self.narrow, 7 + multiplied, "narrow")
        raw = delay(self.raw, 9 + multiplied, "raw")
        m.d.comb += self.y.eq(self._clamp(m, shifted, narrow, raw))
        return m

    def _scale(self, m: Module, platform: object) -> Value:
        """(sum + bias) * mult, or sum + bias if `raw`."""
        width = self._result_width
        biased = Signal(signed(width), reset_less=True)
        mult = Signal(MULT_WIDTH, reset_less=True)
        m.d.sync += [
            biased.eq(self.sum + self.scaling.bias),
            mult.eq(Mux(self.raw, 1, self.scaling.mult)),
        ]
        product = Signal(signed(width + MULT_WIDTH), reset_less=True)
        m.d.sync += product.eq(self._product(m, biased, mult, platform))
        return product

    def _product(self, m: Module, biased: Value, mult: Value, platform: object) -> Value:
        """biased * mult, one cycle after the multipliers.

        Each multiplier takes one digit of the biased sum, in base 2^DIGIT; the highest is signed.
        """
        delay = Delay(m)
        parts: list[Value] = []
        for index, start in enumerate(range(0, len(biased), DIGIT)):
            last = start + DIGIT >= len(biased)
            digit = biased[start:].as_signed() if last else biased[start : start + DIGIT]
            part = place(m, f"digit_{index}", "scaler", self._multiplier, platform)
            m.d.comb += [part.x.eq(digit), part.w.eq(mult)]
            parts.append(part.p << start)
        return delay(parts[0] + parts[1], 1, "lower") + sum(
            delay(part, 1, "upper") for part in parts[2:]
        )

    def _multiplier(self) -> wiring.Component:
        if self._blocks:
            return Multiplier(x_width=MAX_WIDTH, w_width=MULT_WIDTH + 1)
        return RowMultiplier(x_width=MAX_WIDTH, w_width=MULT_WIDTH)

    def _shift(self, m: Module, product: Value, amount: Value) -> Value:
        """product >> amount, two bits of the amount in each of three cycles, highest first."""
        delay, shifted = Delay(m), product
        for low in reversed(range(0, SHIFT_WIDTH, 2)):
            stage = Signal.like(product, name=f"shifted_{low}", reset_less=True)
            m.d.sync += stage.eq(shifted >> (amount[low : low + 2] << low))
            amount, shifted = delay(amount[:low], 1, f"shift_below_{low}"), stage
        return shifted

    def _clamp(self, m: Module, shifted: Value, narrow: Value, raw: Value) -> Value:
        """The result, four cycles after `shifted`: rounded and clamped, or unchanged if `raw`."""
        delay = Delay(m)
        rounded = Signal(signed(NEAR), reset_less=True)
        m.d.sync += rounded.eq(self._rounded(shifted[:NEAR].as_signed()))
        whole = delay(shifted[: self._result_width].as_signed(), 2, "whole")
        # The sign of all bits: a shifted product may be wider than a raw result.
        negative = delay(shifted[-1], 2, "negative")
        beyond = shifted[NEAR - 1 :]
        groups: Sequence[Value] = [beyond[start : start + 8] for start in range(0, len(beyond), 8)]
        ones = Cat(delay(group.all(), 1, "ones") for group in groups)
        some = Cat(delay(group.any(), 1, "some") for group in groups)
        flags = (Signal(reset_less=True, name=name) for name in ("above", "below", "inside"))
        above, below, inside = flags
        m.d.sync += [
            above.eq(Mux(narrow, rounded > 7, rounded > 127)),
            below.eq(Mux(narrow, rounded < -7, rounded < -127)),
            inside.eq(ones.all() | ~some.any()),
        ]
        high, low = (Signal(reset_less=True, name=name) for name in ("high", "low"))
        bound = Signal(signed(8), reset_less=True)
        m.d.sync += [
            high.eq(Mux(inside, above, ~negative)),
            low.eq(Mux(inside, below, negative)),
            bound.eq(Mux(delay(narrow, 1, "narrowed"), 7, 127)),
        ]
        # An unclamped code has 8 bits.
        code = delay(rounded[:8].as_signed(), 2, "code")
        last = delay(whole, 1, "last")
        y = Signal.like(self.y, name="clamped", reset_less=True)
        m.d.sync += y.eq(Mux(raw, last, Mux(high, bound, Mux(low, -bound, code))))
        return y

    def _rounded(self, doubled: Value) -> Value:
        """Half of a value, rounded to the nearest integer, a half up."""
        return (doubled + 1) >> 1
