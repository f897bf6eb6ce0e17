"""The loader sends every transfer to the buffer that asked for it, and marks the ends of loads."""

import random
from typing import Any

import pytest

from golden.spec.modes import mode
from hw.config import Config
from hw.gateware.core.loader import Loader
from tests.support.rtl import Stalls, sender, simulate

CONFIG = Config(modes=(mode("w8a8"),), rows=2, cols=4, k_max=64, bus=8)
LINE = {0: 1, 1: 3, 2: 2}
"""Transfers of a line, by buffer: the buffers decide, so the test may."""


def reference(loads: list[dict[str, int]], transfers: list[int]) -> list[tuple[int, int, bool]]:
    """(buffer, transfer, whether it is the load's last), in order."""
    expected, remaining = [], iter(transfers)
    for load in loads:
        count = LINE[load["ring"]] * (load["lines"] + 1)
        for index in range(count):
            expected.append((load["ring"], next(remaining), index == count - 1))
    return expected


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_transfers_reach_their_buffers(share: float) -> None:
    draw = random.Random(5)
    loads = [{"ring": draw.randrange(3), "lines": draw.randrange(4)} for _ in range(40)]
    count = sum(LINE[load["ring"]] * (load["lines"] + 1) for load in loads)
    transfers = [draw.getrandbits(8 * CONFIG.bus) for _ in range(count)]
    loader = Loader(CONFIG)
    found: list[tuple[int, int, bool]] = []
    full = Stalls(share, 6)

    async def buffers(ctx: Any) -> None:
        gathered = [0, 0, 0]
        while len(found) < count:
            for ring, port in enumerate(loader.write):
                ctx.set(port.line, gathered[ring] % LINE[ring] == LINE[ring] - 1)
                ctx.set(port.room, not full())
            puts = [port.put for port in loader.write]
            ends = [port.end for port in loader.write]
            sampled = (await ctx.tick().sample(*puts, *ends, loader.write[0].data))[-7:]
            assert sum(sampled[:3]) <= 1
            for ring in range(3):
                if sampled[ring]:
                    assert ctx.get(loader.write[ring].room)
                    found.append((ring, sampled[6], bool(sampled[3 + ring])))
                    gathered[ring] += 1

    simulate(
        loader,
        sender(loader.loads, loads, Stalls(share, 7)),
        sender(loader.transfers, transfers, Stalls(share, 8)),
        buffers,
    )
    assert found == reference(loads, transfers)


def test_a_transfer_a_cycle() -> None:
    """A load of 64 lines takes 64 cycles, and the next one begins a cycle later."""
    loader = Loader(CONFIG)
    cycles: list[int] = []

    async def buffers(ctx: Any) -> None:
        for port in loader.write:
            ctx.set(port.line, 1)
            ctx.set(port.room, 1)
        cycle = 0
        while len(cycles) < 128:
            put = (await ctx.tick().sample(loader.write[0].put))[-1]
            cycle += 1
            if put:
                cycles.append(cycle)

    loads = [{"ring": 0, "lines": 63}] * 2
    never = Stalls(0.0, 0)
    simulate(
        loader,
        sender(loader.loads, loads, never),
        sender(loader.transfers, range(128), never),
        buffers,
    )
    assert cycles[-1] - cycles[0] == 128
