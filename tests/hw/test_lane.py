"""A result lane gives, for every chunk, the result of its column."""

import random
from collections import defaultdict, deque
from typing import Any

import pytest

from golden.spec.commands import Output
from golden.spec.modes import MODE_NAMES, mode
from hw.config import Config
from hw.gateware.lib.queue import Buffer
from hw.gateware.output.collector import Column
from hw.gateware.output.lane import ResultLane, control_times, lane_latency, sum_latency
from tests.support.rtl import Stalls, simulate
from tests.support.sums import packed, random_scaling, random_sums, result_of, sum_of

CHUNKS, COLUMNS = 120, 2


def subject(*names: str, results: int) -> Config:
    modes = tuple(mode(name) for name in names)
    return Config(modes=modes, rows=2, cols=results * COLUMNS, k_max=16, results=results)


CONFIGS = {
    "a result a cycle": subject("w8a8", "w4a8", "w4a4", "wpw-a8", results=1),
    "two results a cycle": subject("w8a8", "w4a8", "w4a4", "wpw-a8", results=2),
    "piece-wise": subject("wpw-a8", results=2),
    "one sum": subject(MODE_NAMES[0], results=2),
}


@pytest.mark.parametrize("share", [0.0, 0.6])
@pytest.mark.parametrize("odd", [False, True])
@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_results_of_its_columns(config: Config, odd: bool, share: float) -> None:
    if odd and config.results == 1:
        odd = False
    draw, sink = random.Random(41), Stalls(share, 42)
    lane = ResultLane(config, columns=COLUMNS, odd=odd)
    expected: deque[tuple[int, int]] = deque()
    # What the bench sets in each cycle: functions of the simulator's context.
    events: defaultdict[int, list[Any]] = defaultdict(list)

    def at(cycle: int, port: Any, value: Any) -> None:
        events[cycle].append((port, value))

    def chunk(cycle: int) -> None:
        chosen = draw.choice(config.modes)
        wide, index = chosen.w_lanes == 2, draw.randrange(COLUMNS)
        second, upper = draw.randrange(2), draw.randrange(2)
        output, ratio = draw.choice(list(Output)), draw.randint(1, 63)
        own, *pes = (random_sums(draw, config, chosen) for _ in range(3))
        # With one result a cycle a chunk is a column; with more, the lane's number decides which
        # half of a PE it reads.
        column = second if config.results == 1 else int(odd)
        shared = wide and config.results > 1
        total = sum_of(chosen, pes[second] if shared else own, upper, column, ratio)
        scaling = random_scaling(draw)
        expected.append((cycle, result_of(total, output, **scaling)))
        control = {
            "index": index,
            "wide": wide,
            "second": second,
            "quad": chosen.products == 4,
            "pair": chosen.products == 2,
            "upper": upper,
            "ratio": ratio if len(chosen.partial_bounds) == 2 else 0,
            "bare": output is Output.SUM,
            "raw": output in (Output.SUM, Output.BIASED),
            "narrow": output is Output.FOUR,
        }
        for name, time in control_times(config).items():
            at(cycle + time, lane.control[name], int(control[name]))
        for position in range(COLUMNS):
            bits = draw.getrandbits(config.sum_width)
            bits = packed(config, chosen, own) if position == index else bits
            at(cycle + Column.latency, lane.columns[position], bits)
        for half in (0, 1):
            at(cycle + Column.latency + 1, lane.pes[half], packed(config, chosen, pes[half]))
        at(cycle + sum_latency(config) - 1, lane.scaling, scaling)
        at(cycle + lane_latency(config) - 2, lane.put, 1)

    async def bench(ctx: Any) -> None:
        cycle = started = 0
        while started < CHUNKS or expected:
            if started < CHUNKS and draw.random() >= share:
                chunk(cycle)
                started += 1
            ctx.set(lane.put, 0)
            for port, value in events.pop(cycle, ()):
                ctx.set(port, value)
            waits = expected and cycle >= expected[0][0] + lane_latency(config) + Buffer.latency
            take = waits and not sink()
            ctx.set(lane.take, bool(take))
            if take:
                assert ctx.get(lane.y) == expected.popleft()[1]
            await ctx.tick()
            cycle += 1

    simulate(lane, bench)
