"""Units in Amaranth's simulator: test benches with a deadline, and streams with random stalls."""

import gc
import random
import warnings
from collections.abc import Callable, Iterable
from typing import Any

from amaranth.hdl import UnusedElaboratable, Value
from amaranth.lib import wiring
from amaranth.sim import Simulator
from hypothesis import Phase

PHASES = (Phase.explicit, Phase.reuse, Phase.generate)
"""Hypothesis' phases where each example is a simulation: shrinking would run hundreds of them."""

Bench = Callable[[Any], Any]
"""An asynchronous function of a simulator context."""


def simulate(unit: wiring.Component, *benches: Bench, deadline: int = 20_000) -> None:
    """Run all benches to their ends; AssertionError if that takes `deadline` cycles."""
    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    for bench in benches:
        simulator.add_testbench(bench)
    # Two edges of the clock a cycle.
    for _ in range(2 * deadline):
        if not simulator.advance():
            return
    raise AssertionError(f"deadline: expected an end within {deadline} cycles, got none")


class Stalls:
    """Cycles in which a side of a stream pauses: each with probability `share`."""

    def __init__(self, share: float, seed: int):
        self._share, self._random = share, random.Random(seed)

    def __call__(self) -> bool:
        return self._random.random() < self._share


def sender(port: Any, items: Iterable[Any], stalls: Callable[[], bool]) -> Bench:
    """A bench that sends items to a stream of the unit; an item is held until it is taken."""

    async def bench(ctx: Any) -> None:
        for item in items:
            while stalls():
                await ctx.tick()
            ctx.set(port.payload, item)
            ctx.set(port.valid, 1)
            await ctx.tick().until(port.ready)
            ctx.set(port.valid, 0)

    return bench


def receiver(
    port: Any, count: int, stalls: Callable[[], bool], received: list[Any], extra: int = 20
) -> Bench:
    """A bench that takes `count` payloads of a stream, and then checks that no more follow."""

    async def bench(ctx: Any) -> None:
        while len(received) < count:
            ready = not stalls()
            ctx.set(port.ready, ready)
            payload, valid = (await ctx.tick().sample(port.payload, port.valid))[-2:]
            if valid and ready:
                received.append(payload)
        ctx.set(port.ready, 0)
        valids = [(await ctx.tick().sample(port.valid))[-1] for _ in range(extra)]
        assert not any(valids), f"stream: expected {count} payloads, got more"

    return bench


def pipeline(
    unit: wiring.Component, latency: int, output: Value, inputs: list[dict[str, int]]
) -> list[int]:
    """Outputs of a unit that takes new inputs in every cycle, `latency` cycles after each."""
    found: list[int] = []

    async def bench(ctx: Any) -> None:
        for cycle in range(len(inputs) + latency):
            if cycle >= latency:
                found.append(ctx.get(output))
            if cycle < len(inputs):
                for name, value in inputs[cycle].items():
                    ctx.set(getattr(unit, name), value)
            await ctx.tick()

    simulate(unit, bench)
    return found


def refusal(constructor: Callable[..., Any], *arguments: Any, **keywords: Any) -> str:
    """The message with which a constructor refuses its arguments; AssertionError if it does not."""
    message = ""
    with warnings.catch_warnings():
        # Amaranth warns of a component that nothing elaborates, when it is collected.
        warnings.simplefilter("ignore", UnusedElaboratable)
        try:
            constructor(*arguments, **keywords)
        except ValueError as error:
            message = str(error)
        gc.collect()
    assert message, f"{constructor.__name__}: expected a ValueError, got none"
    return message
