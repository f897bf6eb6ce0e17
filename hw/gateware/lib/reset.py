"""The reset on its way through the design."""

from amaranth import Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.target import kept_apart, place


@kept_apart
class ResetStage(wiring.Component):
    """`earlier` In(1), a cycle later: `reset` Out(1).

    Each unit of the core and each two PEs have one, kept apart in mapping: as one register it would
    have to reach all of the part.
    """

    def __init__(self) -> None:
        super().__init__({"earlier": In(1), "reset": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        register = Signal(reset_less=True)
        m.d.sync += register.eq(self.earlier)
        m.d.comb += self.reset.eq(register)
        return m


def staged(m: Module, name: str, earlier: Value, platform: object) -> Value:
    """A reset, a cycle later in a register of its own."""
    stage = place(m, f"reset_{name}", "reset_stage", ResetStage, platform)
    m.d.comb += stage.earlier.eq(earlier)
    reset: Value = stage.reset
    return reset
