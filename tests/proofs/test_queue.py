"""Queues lose, repeat and reorder nothing, keep what they offer, and go on, for ever."""

import pytest
from amaranth import Signal

from hw.gateware.lib import queue
from hw.gateware.lib.queue import Buffer, Credits, Queue
from tests.support.fault import planted
from tests.support.proof import Bench, RefutedError, prove_forever

SLOWEST = 6
"""Cycles after which an item is at the head, and room is offered again."""


class Traffic:
    """Monitor of items of one bit: a free choice follows one of them from entry to exit.

    A queue that cannot see which item is followed treats all of them alike.
    """

    def __init__(self, bench: Bench, depth: int, entered: Signal, left: Signal):
        m = bench.m
        chosen = bench.free(1, "chosen")
        self.held = Signal(range(depth + 4))
        self.ahead = Signal.like(self.held)
        self.followed = Signal()
        m.d.sync += self.held.eq(self.held + entered - left)
        self.begins = Signal()
        m.d.comb += self.begins.eq(entered & chosen & ~self.followed)
        with m.If(self.begins):
            m.d.sync += [self.followed.eq(1), self.ahead.eq(self.held - left)]
        with m.Elif(left & self.followed):
            m.d.sync += [
                self.followed.eq(self.ahead != 0),
                self.ahead.eq(self.ahead - (self.ahead != 0)),
            ]
        bench.require(~self.followed | (self.held > self.ahead), "an item is in the queue")
        bench.require(~left | (self.held != 0), "no item from nothing")

    @property
    def is_next(self) -> Signal:
        return self.followed & (self.ahead == 0)


def waits(bench: Bench, condition: Signal, name: str) -> None:
    """A condition holds for at most SLOWEST cycles in turn."""
    count = Signal(range(SLOWEST + 2))
    with bench.m.If(~condition):
        bench.m.d.sync += count.eq(0)
    with bench.m.Elif(count <= SLOWEST):
        bench.m.d.sync += count.eq(count + 1)
    bench.require(count <= SLOWEST, name)


def unchanged(bench: Bench, offered: Signal, taken: Signal, payload: Signal, name: str) -> None:
    """What is offered and not taken is offered in the next cycle too."""
    waiting, value = Signal(), Signal.like(payload)
    bench.m.d.sync += [waiting.eq(offered & ~taken), value.eq(payload)]
    bench.require(~waiting | (offered & (payload == value)), name)


def queue_bench(depth: int) -> Bench:
    bench = Bench()
    m = bench.m
    m.submodules.unit = unit = Queue(shape=1, depth=depth)
    m.d.comb += [
        unit.items.valid.eq(bench.free(1, "valid")),
        unit.items.payload.eq(bench.free(1, "payload")),
        unit.head.ready.eq(bench.free(1, "ready")),
    ]
    entered, left, value = Signal(), Signal(), Signal()
    m.d.comb += [
        entered.eq(unit.items.valid & unit.items.ready),
        left.eq(unit.head.valid & unit.head.ready),
    ]
    traffic = Traffic(bench, depth, entered, left)
    with m.If(traffic.begins):
        m.d.sync += value.eq(unit.items.payload)
    first = unit.head.valid & traffic.is_next
    bench.require(~first | (unit.head.payload == value), "order and value")
    bench.require(traffic.held <= depth + 1, "no more items than fit")
    unchanged(bench, unit.head.valid, unit.head.ready, unit.head.payload, "stability")
    waits(bench, (traffic.held != 0) & ~unit.head.valid, "an item comes to the head")
    waits(bench, (traffic.held < depth) & ~unit.items.ready, "room is offered")
    return bench


def buffer_bench(depth: int) -> Bench:
    bench = Bench()
    m = bench.m
    m.submodules.unit = unit = Buffer(shape=1, depth=depth)
    put, value, late = Signal(), Signal(), Signal()
    left = Signal()
    traffic = Traffic(bench, depth, put, left)
    # The producer's credits: a put only where there is room.
    m.d.comb += [
        put.eq(bench.free(1, "put") & (traffic.held < depth) & ~bench.reset),
        unit.put.eq(put),
        unit.item.eq(bench.free(1, "item")),
        unit.take.eq(bench.free(1, "take")),
        left.eq(unit.valid & unit.take),
    ]
    m.d.sync += late.eq(traffic.begins)
    with m.If(late):
        m.d.sync += value.eq(unit.item)
    bench.require(~(unit.valid & traffic.is_next) | (unit.head == value), "order and value")
    unchanged(bench, unit.valid, unit.take, unit.head, "stability")
    waits(bench, (traffic.held != 0) & ~unit.valid, "an item comes to the head")
    return bench


def credits_bench(count: int) -> Bench:
    bench = Bench()
    m = bench.m
    m.submodules.unit = unit = Credits(count=count)
    free = Signal(range(count + 1), init=count)
    m.d.comb += [
        unit.taken.eq(bench.free(1, "taken") & unit.any),
        unit.returned.eq(bench.free(1, "returned") & (free != count)),
    ]
    m.d.sync += free.eq(free + unit.returned - unit.taken)
    bench.require(~unit.any | (free != 0), "a credit for every slot")
    waits(bench, (free != 0) & ~unit.any, "a credit is seen")
    return bench


@pytest.mark.parametrize("depth", [1, 2, 3, 4])
def test_queue(depth: int) -> None:
    prove_forever(queue_bench(depth))


@pytest.mark.parametrize("depth", [2, 4])
def test_buffer(depth: int) -> None:
    prove_forever(buffer_bench(depth))


@pytest.mark.parametrize("count", [1, 2, 7])
def test_credits(count: int) -> None:
    prove_forever(credits_bench(count))


FAULTS = {
    "one item too many": (queue_bench, 3, "(held != self._depth)", "(held != self._depth + 1)"),
    "an item that is read before it is written": (
        queue_bench,
        3,
        "stored.eq(stored + written - moved)",
        "stored.eq(stored + taken - moved)",
    ),
    "an item that is offered once": (
        queue_bench,
        3,
        "Mux(self.head.valid, ~self.head.ready, moved)",
        "Mux(self.head.valid, 0, moved)",
    ),
    "a head that stands still": (queue_bench, 3, "(stored != 0)", "(stored > 1)"),
    "heads that are exchanged": (
        buffer_bench,
        4,
        "Mux(leaving, heads[1], heads[0])",
        "Mux(leaving, heads[0], heads[1])",
    ),
    "a memory that is read for the other": (
        buffer_bench,
        4,
        "Mux(odd, read[1], read[0])",
        "Mux(odd, read[0], read[1])",
    ),
    "room that is offered only when empty": (
        queue_bench,
        3,
        "(held != self._depth)",
        "(held == 0)",
    ),
    "a last credit that is not seen": (
        credits_bench,
        7,
        "Mux(self.taken, left[1], left[0]) | self.returned",
        "left[1] | self.returned",
    ),
    "a credit that is given twice": (
        credits_bench,
        7,
        "up.eq(self.returned & ~self.taken)",
        "up.eq(self.returned)",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str) -> None:
    bench_of, size, right, wrong = FAULTS[fault]
    with planted(queue, right, wrong), pytest.raises(RefutedError):
        prove_forever(bench_of(size))
