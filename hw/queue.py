"""Queues between the parts of the core, and the places that they share out."""

from amaranth import Module, Mux, Shape, Signal
from amaranth.hdl import ShapeLike
from amaranth.lib import fifo, stream, wiring
from amaranth.lib.wiring import In, Out


class Queue(wiring.Component):
    """A FIFO whose next item stands in a register: who takes it moves one flip-flop, not the FIFO's pointers.

    Members: items In(stream of shape), head Out(stream of shape). It holds `depth` items and the one at its head.
    Latency 3 cycles, an item every second cycle; `valid` and `ready` depend on registers alone.
    """

    def __init__(self, shape: ShapeLike, depth: int):
        self._shape = shape
        self._depth = depth
        super().__init__({"items": In(stream.Signature(shape)), "head": Out(stream.Signature(shape))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = Shape.cast(self._shape).width
        m.submodules.fifo = inner = fifo.SyncFIFOBuffered(width=width, depth=self._depth)
        m.d.comb += [
            inner.w_data.eq(self.items.payload),
            inner.w_en.eq(self.items.valid),
            self.items.ready.eq(inner.w_rdy),
            inner.r_en.eq(~self.head.valid),
        ]
        with m.If(self.head.valid):
            m.d.sync += self.head.valid.eq(~self.head.ready)
        with m.Else():
            m.d.sync += [self.head.payload.eq(inner.r_data), self.head.valid.eq(inner.r_rdy)]
        return m


class Credits(wiring.Component):
    """Places to hand out, `count` of them: `any` Out(1) while there is one, taken In(1), returned In(1).

    `any` is a register: a place returned counts from the next cycle on. A place may be taken only while there is one.
    """

    def __init__(self, count: int):
        self._count = count
        super().__init__({"any": Out(1, init=1), "taken": In(1), "returned": In(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        left = Signal(range(self._count + 1), init=self._count)
        m.d.sync += [
            left.eq(left - self.taken + self.returned),
            self.any.eq(Mux(self.taken, left > 1, left != 0) | self.returned),
        ]
        return m
