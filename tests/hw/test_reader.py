"""The reader takes the chunks of every tile in order, none before its row has drained."""

import random
from collections import deque
from typing import Any

import pytest

from golden.spec.modes import mode
from hw.config import Config
from hw.gateware.output.collector import count_width
from hw.gateware.output.reader import Reader
from tests.support.rtl import simulate

CONFIG = Config(modes=(mode("w8a8"), mode("w4a4")), rows=3, cols=3, k_max=16, results=2, panels=3)
SLOTS, TILES = 2, 20
DEPTH = CONFIG.rows * SLOTS
WORDS = CONFIG.p_ring.lines * CONFIG.p_ring.factor


def random_tile(draw: random.Random) -> dict[str, Any]:
    chosen = draw.randrange(2)
    lanes = CONFIG.modes[chosen]
    return {
        "mode": chosen,
        "output": draw.randrange(4),
        "depth": draw.randrange(CONFIG.k_max),
        "ratio": draw.randrange(64),
        "offset": draw.randrange(64),
        "rows": draw.randrange(CONFIG.rows * lanes.x_lanes),
        "chunks": draw.randrange(-(-CONFIG.cols * lanes.w_lanes // CONFIG.results)),
        "columns": draw.randrange(CONFIG.results),
        "p": {
            "line": draw.randrange(CONFIG.p_ring.lines),
            "frees": draw.randrange(CONFIG.p_ring.lines),
        },
    }


def reference(number: int, tile: dict[str, Any]) -> list[tuple[int, dict[str, int]]]:
    """(rows that must have drained, chunk) for each chunk of the `number`-th tile."""
    pairs = CONFIG.modes[tile["mode"]].x_lanes == 2
    chunks = []
    for row in range(tile["rows"] + 1):
        array_row = number * CONFIG.rows + (row // 2 if pairs else row)
        for chunk in range(tile["chunks"] + 1):
            row_end = chunk == tile["chunks"]
            last = row_end and row == tile["rows"]
            word = tile["p"]["line"] * CONFIG.p_ring.factor + chunk
            expected = {name: tile[name] for name in ("mode", "output", "ratio")} | {
                "address": array_row % DEPTH,
                "chunk": chunk,
                "parameters": word % WORDS,
                "frees": tile["p"]["frees"] if last else 0,
                "count": tile["columns"] if row_end else CONFIG.results - 1,
                "last": int(last),
            }
            if pairs:
                expected["upper"] = row % 2
            chunks.append((array_row + 1, expected))
    return chunks


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_chunks_in_order_and_not_too_early(share: float) -> None:
    draw = random.Random(11)
    tiles = [random_tile(draw) for _ in range(TILES)]
    expected = [chunk for number, tile in enumerate(tiles) for chunk in reference(number, tile)]
    reader = Reader(CONFIG, slots=SLOTS)

    async def bench(ctx: Any) -> None:
        started = finished = drained = gap = 0
        remaining = deque(expected)
        counts = deque([0, 0, 0], maxlen=3)
        while remaining or finished < TILES:
            # The feeder starts a tile every third cycle at most, and no more than there are slots.
            free = started < TILES and started - finished < SLOTS
            start = free and gap >= 2 and draw.random() >= share
            gap = 0 if start else gap + 1
            ctx.set(reader.handoff.started, start)
            if start:
                ctx.set(reader.handoff.tile, tiles[started])
                started += 1
            if drained < started * CONFIG.rows and draw.random() >= share:
                drained += 1
            counts.append(drained)
            ctx.set(reader.drained, drained % (1 << count_width(CONFIG, SLOTS)))
            ctx.set(reader.room, draw.random() >= share)
            await ctx.tick()
            finished += ctx.get(reader.handoff.finished)
            if ctx.get(reader.read):
                needs, chunk = remaining.popleft()
                found = ctx.get(reader.chunk)
                assert {name: found[name] for name in chunk} == chunk
                # The chunk was taken two cycles ago, by the count of the cycle before.
                assert counts[0] >= needs
        assert finished == started == TILES

    simulate(reader, bench)


def test_a_chunk_a_cycle() -> None:
    """Two tiles whose rows have drained are read without a pause."""
    tile = random_tile(random.Random(1)) | {"mode": 0, "rows": 2, "chunks": 1}
    reader = Reader(CONFIG, slots=SLOTS)
    cycles: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(reader.room, 1)
        ctx.set(reader.handoff.tile, tile)
        for cycle in range(60):
            # The queue of tiles takes one every third cycle.
            ctx.set(reader.handoff.started, cycle in (0, 4))
            ctx.set(reader.drained, 2 * CONFIG.rows if cycle > 20 else 0)
            await ctx.tick()
            if ctx.get(reader.read):
                cycles.append(cycle)

    simulate(reader, bench)
    assert len(cycles) == 12
    assert cycles[-1] - cycles[0] == 11
