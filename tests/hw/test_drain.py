"""The drain sends the results that golden's formulas give for the sums that the collector holds."""

import random
from collections import deque
from typing import Any

import pytest

from golden.spec.commands import Output
from golden.spec.modes import mode
from hw.config import Config
from hw.gateware.core.operand_buffer import OperandBuffer
from hw.gateware.output.collector import Column, count_width
from hw.gateware.output.drain import Drain, drain_latency
from tests.support.rtl import Stalls, refusal, simulate
from tests.support.sums import packed, random_scaling, random_sums, result_of, sum_of

MODES = tuple(mode(name) for name in ("w8a8", "w4a8", "w4a4", "wpw-a8"))
CONFIG = Config(modes=MODES, rows=2, cols=3, k_max=16, results=2, panels=4)
SLOTS, TILES = 2, 16
RING = CONFIG.p_ring


class Tile:
    """A tile: its descriptor, the rows of sums as the array drains them, and its results."""

    def __init__(self, draw: random.Random, number: int, parameters: list[list[dict[str, int]]]):
        chosen = MODES[number % len(MODES)]
        rows = draw.randint(1, CONFIG.rows * chosen.x_lanes)
        columns = draw.randint(1, CONFIG.cols * chosen.w_lanes)
        chunks = -(-columns // CONFIG.results)
        output = draw.choice(list(Output))
        line, ratio = draw.randrange(RING.lines), draw.randint(1, 63)
        self.descriptor = {
            "mode": number % len(MODES),
            "output": output.value,
            "ratio": ratio,
            "rows": rows - 1,
            "chunks": chunks - 1,
            "columns": (columns - 1) % CONFIG.results,
            "p": {"line": line, "frees": draw.randrange(RING.lines)},
        }
        sums = [
            [random_sums(draw, CONFIG, chosen) for _ in range(CONFIG.cols)]
            for _ in range(CONFIG.rows)
        ]
        self.drained = [[packed(CONFIG, chosen, each) for each in row] for row in sums]
        self.results: list[tuple[list[int], bool]] = []
        for row in range(rows):
            for chunk in range(chunks):
                word = parameters[(line * RING.factor + chunk) % len(parameters)]
                values = []
                for lane in range(min(CONFIG.results, columns - chunk * CONFIG.results)):
                    column = chunk * CONFIG.results + lane
                    pe = sums[row // chosen.x_lanes][column // chosen.w_lanes]
                    total = sum_of(chosen, pe, row, column, ratio)
                    values.append(result_of(total, output, **word[lane]))
                last = row == rows - 1 and chunk == chunks - 1
                self.results.append((values, last))


def word_of(scalings: list[dict[str, int]]) -> int:
    """A word of the parameter buffer: bias, mult and shift of each column in 8 bytes."""
    bits = 0
    for index, each in enumerate(scalings):
        column = each["bias"] & 0xFFFFFFFF | each["mult"] << 32 | each["shift"] << 48
        bits |= column << 64 * index
    return bits


@pytest.mark.parametrize("share", [0.0, 0.4, 0.9])
def test_results_are_those_of_the_formulas(share: float) -> None:
    draw = random.Random(31)
    words = RING.lines * RING.factor
    parameters = [[random_scaling(draw) for _ in range(CONFIG.results)] for _ in range(words)]
    tiles = [Tile(draw, number, parameters) for number in range(TILES)]
    expected = deque(result for tile in tiles for result in tile.results)
    drain = Drain(CONFIG, slots=SLOTS)
    freed: list[int] = []
    sink = Stalls(share, 32)

    async def core(ctx: Any) -> None:
        started = finished = drained = gap = 0
        memory = [[0] * CONFIG.cols] * (CONFIG.rows * SLOTS)
        rows = deque([memory[0]] * Column.latency)
        addresses = deque([0] * OperandBuffer.latency)
        while finished < TILES or expected:
            start = started < TILES and started - finished < SLOTS and gap >= 2
            gap = 0 if start else gap + 1
            ctx.set(drain.handoff.started, start)
            if start:
                ctx.set(drain.handoff.tile, tiles[started].descriptor)
                started += 1
            if drained < started * CONFIG.rows and draw.random() >= share:
                row = tiles[drained // CONFIG.rows].drained[drained % CONFIG.rows]
                memory[drained % len(memory)] = row
                drained += 1
            ctx.set(drain.sums.count, drained % (1 << count_width(CONFIG, SLOTS)))
            rows.append(memory[ctx.get(drain.sums.address)])
            for column, bits in enumerate(rows.popleft()):
                ctx.set(drain.sums.data[column], bits)
            addresses.append(ctx.get(drain.read_p.address))
            ctx.set(drain.read_p.word, word_of(parameters[addresses.popleft()]))
            if count := ctx.get(drain.read_p.freed):
                freed.append(count)
            ready = not sink()
            ctx.set(drain.results.ready, ready)
            if ready and ctx.get(drain.results.valid):
                values, last = expected.popleft()
                found = ctx.get(drain.results.payload)
                assert list(found.y)[: found.count + 1] == values
                assert found.last == last
            await ctx.tick()
            finished += ctx.get(drain.handoff.finished)

    simulate(drain, core)
    frees = [tile.descriptor["p"]["frees"] for tile in tiles]
    assert freed == [count for count in frees if count]


def test_first_results_after_the_latency() -> None:
    drain = Drain(CONFIG, slots=SLOTS)
    cycles: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(drain.handoff.started, 1)
        await ctx.tick()
        ctx.set(drain.handoff.started, 0)
        await ctx.tick().repeat(20)
        ctx.set(drain.sums.count, 1)
        for cycle in range(2 * drain_latency(CONFIG)):
            if ctx.get(drain.results.valid):
                cycles.append(cycle)
            await ctx.tick()

    simulate(drain, bench)
    assert cycles[0] == drain_latency(CONFIG)


def test_slots_that_it_refuses() -> None:
    assert refusal(Drain, CONFIG, slots=0) == "slots: expected an integer >= 1, got 0"
