"""Queues keep items in order, hold `depth` of them and lose none, whichever side pauses."""

import gc
from collections import deque
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.gateware.lib.queue import Buffer, Credits, Queue
from tests.support.unit_run import rtl_run

SEED = 7
CYCLES = 3000


def simulated(component: Any, testbench: Any) -> None:
    simulator = Simulator(component)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


@pytest.mark.parametrize("pauses", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.7), (0.3, 0.3)])
@pytest.mark.parametrize("depth", [1, 3, 8])
def test_queue(depth: int, pauses: tuple[float, float]) -> None:
    rng = np.random.default_rng(SEED)
    queue = Queue(shape=16, depth=depth)
    sent: deque[int] = deque()
    counts = {"most": 0, "passed": 0}

    async def testbench(ctx: Any) -> None:
        for cycle in range(CYCLES):
            # Nothing is taken in the first half, so the queue fills.
            taking = cycle > CYCLES // 2 and rng.random() >= pauses[1]
            giving, item = rng.random() >= pauses[0], int(rng.integers(1 << 16))
            ctx.set(queue.items.valid, giving)
            ctx.set(queue.items.payload, item)
            ctx.set(queue.head.ready, taking)
            if giving and ctx.get(queue.items.ready):
                sent.append(item)
            if taking and ctx.get(queue.head.valid):
                assert ctx.get(queue.head.payload) == sent.popleft(), (SEED, cycle)
                counts["passed"] += 1
            counts["most"] = max(counts["most"], len(sent))
            await ctx.tick()

    simulated(queue, testbench)
    assert counts["most"] == depth + 1
    assert counts["passed"] > CYCLES // 20
    if pauses == (0.0, 0.0):
        assert counts["passed"] >= CYCLES // 2 // (3 if depth > 1 else 5)


@pytest.mark.parametrize("pauses", [(0.0, 0.0), (0.5, 0.0), (0.0, 0.5), (0.3, 0.3)])
@pytest.mark.parametrize("depth", [2, 6, 32])
def test_buffer(depth: int, pauses: tuple[float, float]) -> None:
    """The producer has credits for `depth` items; an item that leaves returns one."""
    rng = np.random.default_rng(SEED)
    buffer = Buffer(shape=16, depth=depth)
    inside: deque[int] = deque()
    counts = {"passed": 0}

    async def testbench(ctx: Any) -> None:
        put, item = False, 0
        for cycle in range(CYCLES):
            if put:
                inside.append(item)
            item = int(rng.integers(1 << 16))
            ctx.set(buffer.item, item if not put else inside[-1])
            put = len(inside) < depth and rng.random() >= pauses[0]
            ctx.set(buffer.put, put)
            taking = rng.random() >= pauses[1]
            ctx.set(buffer.take, taking)
            if taking and ctx.get(buffer.valid):
                assert ctx.get(buffer.head) == inside.popleft(), (SEED, cycle)
                counts["passed"] += 1
            await ctx.tick()

    simulated(buffer, testbench)
    assert counts["passed"] > CYCLES // 8
    # One item per cycle, where the buffer holds more than its latency.
    if pauses == (0.0, 0.0) and depth == 32:
        assert counts["passed"] >= CYCLES - 5


@pytest.mark.parametrize("left", [0, 2, 5])
def test_credits(left: int) -> None:
    rng = np.random.default_rng(SEED)
    places = Credits(count=5, initial=left)

    async def testbench(ctx: Any) -> None:
        free, seen = left, set()
        for cycle in range(CYCLES):
            assert ctx.get(places.any) == (free > 0), (SEED, cycle)
            taken = free > 0 and rng.random() < 0.6
            returned = free < 5 and rng.random() < 0.6
            ctx.set(places.taken, taken)
            ctx.set(places.returned, returned)
            seen.add((free, taken, returned))
            free += returned - taken
            await ctx.tick()
        assert len(seen) == 20

    simulated(places, testbench)


def test_latency_of_a_queue() -> None:
    """The head is valid `latency` cycles after the transfer."""
    stimulus = [{"items.valid": 1, "items.payload": 5}, {"items.valid": 0}, *[{}] * 6]
    rows = rtl_run(Queue(shape=8, depth=4), stimulus, ["head.valid", "head.payload"])
    assert [valid for valid, _ in rows].index(1) == Queue.latency
    assert rows[Queue.latency] == (1, 5)


def test_latency_of_a_buffer() -> None:
    """The head is valid `latency` cycles after the item, which follows its `put`."""
    stimulus = [{"put": 1}, {"put": 0, "item": 5}, *[{}] * 6]
    rows = rtl_run(Buffer(shape=8, depth=4), stimulus, ["valid", "head"])
    assert [valid for valid, _ in rows].index(1) == 1 + Buffer.latency
    assert rows[1 + Buffer.latency] == (1, 5)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(
    ("unit", "parameters", "message"),
    [
        (Queue, {"shape": 8, "depth": 0}, "depth: expected at least 1, got 0"),
        (Buffer, {"shape": 8, "depth": 0}, "depth: expected an even number of at least 2, got 0"),
        (Buffer, {"shape": 8, "depth": 5}, "depth: expected an even number of at least 2, got 5"),
        (Credits, {"count": 0}, "count: expected at least 1, got 0"),
        (Credits, {"count": 3, "initial": 4}, "initial: expected 0..3, got 4"),
        (Credits, {"count": 3, "initial": -1}, "initial: expected 0..3, got -1"),
    ],
)
def test_refused_parameters(unit: Any, parameters: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}$"):
        unit(**parameters)
    # A refused component warns that it is unused when it is collected: here, where that is ignored.
    gc.collect()
