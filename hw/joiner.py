"""Two sums of a piece-wise output as one: low + ratio * high."""

from amaranth import Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import RATIO_WIDTH, Config


class Joiner(wiring.Component):
    """y = low + ratio * high, by shift and add: the multipliers are for the requantizers.

    Members: low In(signed output_width), high In(signed output_width), ratio In(RATIO_WIDTH), y Out(signed
    output_width); y is exact where it fits. Latency 4 cycles, one result per cycle, no flow control.

    Cycles: the inputs; the ratio's terms in pairs; pairs of these; their sum.
    """

    latency = 4

    def __init__(self, config: Config):
        self._width = config.output_width
        sums = signed(self._width)
        super().__init__({"low": In(sums), "high": In(sums), "ratio": In(RATIO_WIDTH), "y": Out(sums)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        low, high, ratio = (
            self._register(m, value, name)
            for value, name in ((self.low, "low_0"), (self.high, "high"), (self.ratio, "ratio"))
        )
        terms = [Mux(ratio[bit], high << bit, 0) for bit in range(RATIO_WIDTH)]
        pairs = [
            self._sum(m, a, b, f"pair_{i}")
            for i, (a, b) in enumerate(zip(terms[::2], terms[1::2], strict=True))
        ]
        lower = self._sum(m, self._register(m, low, "low_1"), pairs[0], "lower")
        upper = self._sum(m, pairs[1], pairs[2], "upper")
        m.d.comb += self.y.eq(self._sum(m, lower, upper, "total"))
        return m

    def _sum(self, m: Module, a: Value, b: Value, name: str) -> Signal:
        """The sum in a register, of as many bits as the result has."""
        return self._register(m, (a + b)[: self._width].as_signed(), name)

    @staticmethod
    def _register(m: Module, value: Value, name: str) -> Signal:
        register = Signal(value.shape(), name=name, reset_less=True)
        m.d.sync += register.eq(value)
        return register
