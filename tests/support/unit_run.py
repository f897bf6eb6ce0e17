"""Runs of a component in Amaranth's simulator: inputs in, outputs out, cycle by cycle."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from amaranth import ClockDomain, Module
from amaranth.sim import Simulator


def rtl_run(
    component: Any,
    stimulus: Iterable[Mapping[str, int]],
    outputs: Sequence[str],
) -> list[tuple[int, ...]]:
    """The outputs of a component in each cycle, read right before the clock edge that ends it.

    `stimulus` holds the inputs of each cycle; inputs left out keep their values. A dot in a name
    separates an interface from its member. The input `rst` resets the component.
    """
    rows = []
    m = Module()
    # The domain is explicit, because a combinational component has none.
    m.domains.sync = domain = ClockDomain()
    m.submodules.component = component

    async def testbench(ctx: Any) -> None:
        for inputs in stimulus:
            for name, value in inputs.items():
                ctx.set(domain.rst if name == "rst" else member(component, name), value)
            values = (ctx.get(member(component, name)) for name in outputs)
            rows.append(tuple(int(value) for value in values))
            await ctx.tick()

    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return rows


def member(component: Any, name: str) -> Any:
    """The port of that name, as plain bits where it has fields."""
    for part in name.split("."):
        component = getattr(component, part)
    return component.as_value() if hasattr(component, "as_value") else component
