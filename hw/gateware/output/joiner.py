"""The joiner: makes one sum of the two sums of a piece-wise output."""

from amaranth import Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import RATIO_WIDTH
from hw.gateware.lib.carry import ZERO, Chain, Term, both
from hw.target import kept_apart

__all__ = ["Joiner"]


@kept_apart
class Joiner(wiring.Component):
    """Adds a sum and a multiple of another one, without a multiplier.

    Formula: y = low + ratio * high, modulo 2^width; exact where it fits.

    Parameters (keyword-only):
      width   bits of a sum, at least RATIO_WIDTH (6)

    Members:
      low In(signed width), high In(signed width)   the two sums
      ratio In(RATIO_WIDTH)                         unsigned, 0..63
      y Out(signed width)                           the result, `latency` cycles later

    Raises ValueError for a smaller width.

    Latency: 4 cycles: the inputs; the ratio's terms in pairs; pairs of these; their sum.
    Throughput: one result a cycle. No flow control, no reset.
    """

    latency = 4

    def __init__(self, *, width: int):
        if not isinstance(width, int) or width < RATIO_WIDTH:
            raise ValueError(f"width: expected at least {RATIO_WIDTH} bits, got {width!r}")
        self._width = width
        sums = signed(width)
        super().__init__(
            {"low": In(sums), "high": In(sums), "ratio": In(RATIO_WIDTH), "y": Out(sums)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        low, high, ratio = (
            self._register(m, value, name)
            for value, name in ((self.low, "low_0"), (self.high, "high"), (self.ratio, "ratio"))
        )
        chain = Chain(m, platform)
        pairs = [
            self._register(
                m,
                chain.add(
                    f"pair_{bit}", self._term(high, ratio, bit), self._term(high, ratio, bit + 1)
                ).as_signed(),
                f"pair_{bit}",
            )
            for bit in range(0, RATIO_WIDTH, 2)
        ]
        lower = self._sum(m, self._register(m, low, "low_1"), pairs[0], "lower")
        upper = self._sum(m, pairs[1], pairs[2], "upper")
        m.d.comb += self.y.eq(self._sum(m, lower, upper, "total"))
        return m

    def _term(self, high: Value, ratio: Value, bit: int) -> list[Term]:
        """high << bit, gated by that bit of the ratio in the carry cells of the adder."""
        return [ZERO] * bit + [both(each, ratio[bit]) for each in high[: self._width - bit]]

    def _sum(self, m: Module, a: Value, b: Value, name: str) -> Signal:
        """a + b in a register, modulo 2^width."""
        return self._register(m, (a + b)[: self._width].as_signed(), name)

    @staticmethod
    def _register(m: Module, value: Value, name: str) -> Signal:
        register = Signal(value.shape(), name=name, reset_less=True)
        m.d.sync += register.eq(value)
        return register
