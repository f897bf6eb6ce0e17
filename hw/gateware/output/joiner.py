"""Two sums of a piece-wise output as one: low + ratio * high."""

from amaranth import Module, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import RATIO_WIDTH, Config
from hw.gateware.lib.carry import ZERO, Chain, Term, both
from hw.target import kept_apart


@kept_apart
class Joiner(wiring.Component):
    """y = low + ratio * high, by shift and add: the multipliers are for the requantizers.

    Members: low In(signed output_width), high In(signed output_width), ratio In(RATIO_WIDTH), y
    Out(signed output_width); y is exact where it fits. Latency 4 cycles, one result per cycle, no
    flow control.

    Cycles: the inputs; the ratio's terms in pairs; pairs of these; their sum.
    """

    latency = 4

    def __init__(self, config: Config):
        self._width = config.output_width
        sums = signed(self._width)
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
        """high << bit where the ratio has that bit, which the adder's cells choose."""
        return [ZERO] * bit + [both(each, ratio[bit]) for each in high[: self._width - bit]]

    def _sum(self, m: Module, a: Value, b: Value, name: str) -> Signal:
        """The sum in a register, of as many bits as the result has."""
        return self._register(m, (a + b)[: self._width].as_signed(), name)

    @staticmethod
    def _register(m: Module, value: Value, name: str) -> Signal:
        register = Signal(value.shape(), name=name, reset_less=True)
        m.d.sync += register.eq(value)
        return register
