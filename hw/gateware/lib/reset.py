"""Pipelined reset."""

from amaranth import Module, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.gateware.lib.delay import register
from hw.target import kept_apart, place

__all__ = ["ResetStage", "staged"]


@kept_apart
class ResetStage(wiring.Component):
    """One register of a reset tree.

    Each unit of the core and each two PEs have a stage of their own. Synthesis keeps the stages
    apart: merged into one register, the reset would have to cross the whole part in one cycle.

    Members:
        earlier: In(1). Reset of the stage before.
        reset: Out(1). The same one cycle later.

    Latency: 1 cycle. The register itself ignores the domain's reset.
    """

    latency = 1

    def __init__(self) -> None:
        super().__init__({"earlier": In(1), "reset": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.reset.eq(register(m, self.earlier, "register"))
        return m


def staged(m: Module, name: str, earlier: Value, platform: object) -> Value:
    """Return the reset `earlier` one cycle later, out of a `ResetStage` of its own.

    Parameters:
        m: Module that gets the stage, as submodule `reset_{name}`.
        name: Name of what the stage resets.
        earlier: Reset to delay.
        platform: Platform given to `elaborate`. On a `hw.target.Target` all stages share a module.
    """
    stage = place(m, f"reset_{name}", "reset_stage", ResetStage, platform)
    m.d.comb += stage.earlier.eq(earlier)
    reset: Value = stage.reset
    return reset
