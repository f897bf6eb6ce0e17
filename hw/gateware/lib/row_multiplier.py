"""A multiplier of look-up tables, pipelined: for builds without multiplier blocks."""

from amaranth import Cat, Module, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.gateware.lib.carry import ZERO, Chain, both
from hw.gateware.lib.delay import Delay


class RowMultiplier(wiring.Component):
    """p = x * w, of a signed x and an unsigned w.

    Members: x In(signed x_width), w In(w_width), p Out(signed x_width + w_width). A new product
    every cycle, no flow control, no reset; latency `latency_of(w_width)`: operands are registered,
    then x gated by two bits of w is one sum, and neighbouring sums are added pair by pair, a level
    a cycle. As one operator between registers it held a core to 67 MHz.
    """

    def __init__(self, x_width: int, w_width: int):
        super().__init__(
            {"x": In(signed(x_width)), "w": In(w_width), "p": Out(signed(x_width + w_width))}
        )

    @staticmethod
    def latency_of(w_width: int) -> int:
        """Cycles from operands to their product."""
        return 1 + max(1, (w_width - 1).bit_length())

    def elaborate(self, platform: object) -> Module:
        m = Module()
        delay = Delay(m)
        x, w = delay(self.x, 1, "x"), Cat(delay(self.w, 1, "w"), 0)
        sums = []
        for low in range(0, len(self.w), 2):
            # As wide as x times 3 can be; a bit of the upper row stands one place above the lower
            # row's.
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
    """low + high * 2^shift, of signed values; what is below the shift needs no adder."""
    low, high = pair
    if high is None:
        return low
    return Cat(low[:shift], (low >> shift) + high).as_signed()
