"""Pipelined multiplier in look-up tables, for parts without DSP blocks."""

from amaranth import Cat, Module, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.gateware.lib.carry import ZERO, Chain, both
from hw.gateware.lib.delay import Delay

__all__ = ["RowMultiplier"]


class RowMultiplier(wiring.Component):
    """Multiplier of a signed and an unsigned operand, as a tree of adders.

    Formula: p = x * w.

    Pipeline: the operands are registered; each adder of the first level sums x gated by two bits of
    w; every further level adds neighbouring sums in pairs.

    Parameters:
        x_width: Bits of x, at least 1.
        w_width: Bits of w, at least 1.

    Members:
        x: In(signed(`x_width`)).
        w: In(`w_width`).
        p: Out(signed(`x_width` + `w_width`)).

    Latency: `latency`, 1 + max(1, ceil(log2(`w_width`))) cycles. Throughput: one product per cycle,
    without flow control. No register is reset.

    Raises:
        ValueError: A width is below 1.
    """

    def __init__(self, *, x_width: int, w_width: int):
        for name, width in (("x_width", x_width), ("w_width", w_width)):
            if width < 1:
                raise ValueError(f"{name}: expected at least 1, got {width!r}")
        super().__init__(
            {"x": In(signed(x_width)), "w": In(w_width), "p": Out(signed(x_width + w_width))}
        )

    @staticmethod
    def latency_of(w_width: int) -> int:
        """Return the latency of a multiplier with a w of `w_width` bits."""
        return 1 + max(1, (w_width - 1).bit_length())

    @property
    def latency(self) -> int:
        """Cycles from operands to their product."""
        return self.latency_of(len(self.w))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        delay = Delay(m)
        x, w = delay(self.x, 1, "x"), Cat(delay(self.w, 1, "w"), 0)
        sums = []
        for low in range(0, len(self.w), 2):
            # The sum has the width of 3 * x. The upper row has twice the weight of the lower row.
            bits = [x[min(i, len(x) - 1)] for i in range(len(x) + 2)]
            rows = (
                [both(bit, w[low]) for bit in bits],
                [ZERO, *(both(bit, w[low + 1]) for bit in bits[:-1])],
            )
            total = Chain(m, platform).add(f"rows_{low}", *rows)
            sums.append(delay(total.as_signed(), 1, f"sum_{low}"))
        shift = 2
        while len(sums) > 1:
            sums = [
                delay(_added(pair, shift), 1, f"sum_{shift}_{index}")
                for index, pair in enumerate(zip(sums[::2], [*sums[1::2], None], strict=False))
            ]
            shift *= 2
        m.d.comb += self.p.eq(sums[0])
        return m


def _added(pair: tuple[Value, Value | None], shift: int) -> Value:
    """Return low + high * 2^shift, of signed values; bits below the shift need no adder."""
    low, high = pair
    if high is None:
        return low
    return Cat(low[:shift], (low >> shift) + high).as_signed()
