"""The feeder sends every k of every tile, once its panels are loaded and a slot is free."""

import random
from collections import deque
from typing import Any

import pytest

from golden.spec.commands import Ring
from golden.spec.modes import mode
from hw.config import Config
from hw.gateware.core.feeder import Feeder
from hw.gateware.core.operand_buffer import OperandBuffer, sequence_width
from tests.support.rtl import Stalls, refusal, sender, simulate

CONFIG = Config(
    modes=(mode("w8a8"), mode("w4a4")), rows=2, cols=3, k_max=9, bus=8, x_words=24, w_words=11
)
SLOTS, TILES = 2, 30


def word_at(address: int, bytes_: int) -> int:
    """What the buffers of this test contain."""
    return (address * 0x9E3779B97F4A7C15 >> 7) & (1 << 8 * bytes_) - 1


def random_tiles(draw: random.Random) -> list[dict[str, Any]]:
    """Tiles whose panels follow each other through the buffers; each frees its panels."""
    lines, tiles = {"x": 0, "w": 0, "p": 0}, []
    rings = dict(zip("xwp", CONFIG.rings, strict=True))
    for _ in range(TILES):
        k = draw.choice((1, 2, draw.randint(1, CONFIG.k_max)))
        tile: dict[str, Any] = {
            "mode": draw.randrange(2),
            "offset": draw.randrange(64),
            "depth": k - 1,
        }
        for name, ring in rings.items():
            count = 1 if name == "p" else ring.lines_for(k)
            begin, lines[name] = lines[name], lines[name] + count
            needs = lines[name] % (1 << sequence_width(ring))
            tile[name] = {"line": begin % ring.lines, "needs": needs, "frees": count}
        tiles.append(tile | {"ends": dict(lines)})
    return tiles


def steps_of(tile: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps of a tile, in order."""

    def word(ring: Ring, name: str, k: int) -> list[int]:
        address = (tile[name]["line"] * ring.factor + k) % (ring.lines * ring.factor)
        bits = word_at(address, ring.word)
        return [bits >> 8 * i & 0xFF for i in range(ring.word)]

    return [
        {
            "x": word(CONFIG.x_ring, "x", k),
            "w": word(CONFIG.w_ring, "w", k),
            "mode": tile["mode"],
            "offset": tile["offset"],
            "last": int(k == tile["depth"]),
        }
        for k in range(tile["depth"] + 1)
    ]


@pytest.mark.parametrize("share", [0.0, 0.3, 0.8])
def test_every_k_of_every_tile(share: float) -> None:
    draw = random.Random(21)
    tiles = random_tiles(draw)
    expected = deque(step for tile in tiles for step in steps_of(tile))
    feeder = Feeder(CONFIG, slots=SLOTS)
    ports = {"x": (feeder.read_x, CONFIG.x_ring), "w": (feeder.read_w, CONFIG.w_ring)}
    rings = dict(zip("xwp", CONFIG.rings, strict=True))
    frees: dict[str, list[int]] = {"x": [], "w": []}

    async def bench(ctx: Any) -> None:
        loaded = dict.fromkeys("xwp", 0)
        freed = dict.fromkeys("xwp", 0)
        addresses = {name: deque([0] * OperandBuffer.latency) for name in ports}
        started = ended = finished = 0
        previous = -CONFIG.interval
        for cycle in range(10**6):
            if finished == TILES:
                break
            for name, ring in rings.items():
                # The buffer of parameters is freed by the drain: here at once.
                room = ring.lines - (loaded[name] - freed[name])
                # Parameters are loaded so slowly that tiles wait for them, too.
                pause = max(share, 0.9 if name == "p" else 0)
                if room > 0 and draw.random() >= pause:
                    loaded[name] += 1
                ctx.set(feeder.loaded[name], loaded[name] % (1 << sequence_width(ring)))
            finish = finished < ended and draw.random() >= share
            ctx.set(feeder.handoff.finished, finish)
            finished += finish
            for name, (port, ring) in ports.items():
                addresses[name].append(ctx.get(port.address))
                ctx.set(port.word, word_at(addresses[name].popleft(), ring.word))
                if count := ctx.get(port.freed):
                    frees[name].append(count)
                    freed[name] += count
            if ctx.get(feeder.handoff.started):
                tile, found = tiles[started], ctx.get(feeder.handoff.tile)
                assert (found.depth, found.mode) == (tile["depth"], tile["mode"])
                assert all(loaded[name] >= tile["ends"][name] for name in "xwp")
                started += 1
                freed["p"] += tile["p"]["frees"]
            if ctx.get(feeder.valid):
                step, found = expected.popleft(), ctx.get(feeder.step)
                for name in ("x", "w"):
                    assert list(found[name]) == step[name]
                assert {n: found[n] for n in ("mode", "offset", "last")} == {
                    n: step[n] for n in ("mode", "offset", "last")
                }
                if step["last"]:
                    assert cycle - previous >= CONFIG.interval
                    previous, ended = cycle, ended + 1
                    assert ended - finished <= SLOTS
            await ctx.tick()

    simulate(feeder, sender(feeder.tiles, tiles_at_port(tiles), Stalls(share, 22)), bench)
    assert not expected
    for name, found in frees.items():
        assert found == [tile[name]["frees"] for tile in tiles]


def tiles_at_port(tiles: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Tiles without what only the test knows of them."""
    return [{name: value for name, value in tile.items() if name != "ends"} for tile in tiles]


def test_no_pause_between_tiles() -> None:
    """Loaded tiles of 5 steps follow each other without a cycle between them."""
    feeder = Feeder(CONFIG, slots=8)
    tile = {"depth": 4, "x": {"needs": 0}, "w": {"needs": 0}, "p": {"needs": 0}}
    cycles: list[int] = []

    async def bench(ctx: Any) -> None:
        for cycle in range(80):
            if ctx.get(feeder.valid):
                cycles.append(cycle)
            await ctx.tick()

    simulate(feeder, sender(feeder.tiles, [tile] * 6, Stalls(0.0, 0)), bench)
    assert len(cycles) == 30
    assert cycles[-1] - cycles[0] == 29


def test_slots_that_it_refuses() -> None:
    assert refusal(Feeder, CONFIG, slots=0) == "slots: expected an integer >= 1, got 0"
