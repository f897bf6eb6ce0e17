"""The reset on its way through the core."""

from amaranth import Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import Out


class ResetStage(wiring.Component):
    """The domain's reset, a cycle later: `reset` Out(1).

    Each unit of the core has one, kept apart in mapping: as one register it would have to reach all of the part.
    """

    reset: Out(1)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        register = Signal(reset_less=True)
        m.d.sync += register.eq(ResetSignal())
        m.d.comb += self.reset.eq(register)
        return m
