"""The collector returns the sums of every row, however the columns lag and the rows pause."""

import random
from typing import Any

import pytest

from golden.spec.modes import mode
from hw.config import Config
from hw.gateware.output.collector import Collector, Column, count_width
from tests.support.rtl import refusal, simulate

CONFIG = Config(modes=(mode("w8a8"),), rows=2, cols=3, k_max=64)
SLOTS, TILES = 2, 12


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_rows_are_those_written(share: float) -> None:
    draw = random.Random(3)
    total = CONFIG.rows * TILES
    rows = [[draw.getrandbits(CONFIG.sum_width) for _ in range(CONFIG.cols)] for _ in range(total)]
    collector = Collector(CONFIG, slots=SLOTS)
    state = {"read": 0, "most": 0}

    async def array(ctx: Any) -> None:
        # Rows that each column sends in this cycle: column c one cycle after column c - 1.
        sent, columns = 0, [None] * CONFIG.cols
        while sent < total or any(row is not None for row in columns):
            free = sent - state["read"] < CONFIG.rows * SLOTS
            first = sent if sent < total and free and draw.random() >= share else None
            sent += first is not None
            columns = [first, *columns[:-1]]
            for c, row in enumerate(columns):
                ctx.set(collector.sums[c], rows[row][c] if row is not None else draw.getrandbits(9))
            ctx.set(collector.drained, sum(1 << c for c, r in enumerate(columns) if r is not None))
            await ctx.tick()
        ctx.set(collector.drained, 0)

    async def reader(ctx: Any) -> None:
        port, counted = collector.read, 0
        reads: list[tuple[int, int]] = []
        while state["read"] < total:
            reads = [(left - 1, row) for left, row in reads]
            if reads and reads[0][0] == 0:
                row = reads.pop(0)[1]
                assert [ctx.get(port.data[c]) for c in range(CONFIG.cols)] == rows[row]
                state["read"] = row + 1
            counted += (ctx.get(port.count) - counted) % (1 << count_width(CONFIG, SLOTS))
            state["most"] = max(state["most"], counted - state["read"])
            following = state["read"] + len(reads)
            # Nothing is read before all slots have been full once.
            may_read = following < counted and state["most"] == CONFIG.rows * SLOTS
            if may_read and draw.random() >= share:
                ctx.set(port.address, following % (CONFIG.rows * SLOTS))
                reads.append((Column.latency, following))
            await ctx.tick()

    simulate(collector, array, reader)


def test_slots_that_it_refuses() -> None:
    message = refusal(Collector, CONFIG, slots=0)
    assert message == "slots: expected an integer >= 1, got 0"
