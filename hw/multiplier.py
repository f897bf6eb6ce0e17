"""The multiplier of a PE."""

from amaranth import Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class Multiplier(wiring.Component):
    """p = x * w, signed, with registers before and behind.

    Members: x In(signed x_width), w In(signed w_width), p Out(signed x_width + w_width).
    Latency 2 cycles, a new product every cycle, no flow control.
    """

    latency = 2

    def __init__(self, x_width: int, w_width: int):
        super().__init__(
            {
                "x": In(signed(x_width)),
                "w": In(signed(w_width)),
                "p": Out(signed(x_width + w_width)),
            }
        )
        self._x_width = x_width
        self._w_width = w_width

    def elaborate(self, platform: object) -> Module:
        m = Module()
        x = Signal(signed(self._x_width), reset_less=True)
        w = Signal(signed(self._w_width), reset_less=True)
        p = Signal(signed(self._x_width + self._w_width), reset_less=True)
        m.d.sync += [x.eq(self.x), w.eq(self.w), p.eq(x * w)]
        m.d.comb += self.p.eq(p)
        return m
