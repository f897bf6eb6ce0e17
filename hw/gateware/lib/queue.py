"""Queues between the parts of the core, and the places that they share out."""

from amaranth import Cat, Module, Mux, Shape, Signal, Value
from amaranth.hdl import ShapeLike
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.gateware.lib.delay import Delay


class Queue(wiring.Component):
    """A FIFO between two registers: who gives an item or takes one moves a flip-flop, not the memory's pointers.

    Members: items In(stream of shape), head Out(stream of shape). It holds `depth` items and the
    one at its head. Latency 4 cycles, an item every third cycle; `valid` and `ready` are registers.
    """

    def __init__(self, shape: ShapeLike, depth: int):
        self._shape = shape
        self._depth = depth
        super().__init__(
            {"items": In(stream.Signature(shape)), "head": Out(stream.Signature(shape))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = Shape.cast(self._shape).width
        m.submodules.memory = rows = memory.Memory(shape=width, depth=self._depth, init=[])
        write, read = rows.write_port(), rows.read_port()
        item, head = Signal(width, reset_less=True), Signal(width, reset_less=True)
        taken, written, moved, ready = Signal(), Signal(), Signal(), Signal(init=1)
        # Items that were taken, and those of them that can be read.
        held, stored = Signal(range(self._depth + 1)), Signal(range(self._depth + 1))
        produce = _turned(m, "produce", self._depth, taken)
        # The next item is looked up while the one at the head goes, two cycles at least.
        consume = _turned(m, "consume", self._depth, moved)
        m.d.comb += [
            self.items.ready.eq(ready),
            write.addr.eq(produce),
            write.data.eq(item),
            write.en.eq(taken),
            read.addr.eq(consume),
            moved.eq(~self.head.valid & (stored != 0)),
            self.head.payload.eq(head),
        ]
        m.d.sync += [
            item.eq(self.items.payload),
            taken.eq(self.items.valid & ready),
            written.eq(taken),
            ready.eq(~(self.items.valid & ready) & ~taken & (held != self._depth)),
            held.eq(held + taken - moved),
            stored.eq(stored + written - moved),
            self.head.valid.eq(Mux(self.head.valid, ~self.head.ready, moved)),
        ]
        with m.If(~self.head.valid):
            m.d.sync += head.eq(read.data)
        return m


def _turned(m: Module, name: str, depth: int, step: Value) -> Signal:
    """A place among `depth`, which moves on with `step`."""
    place = Signal(range(depth), name=name)
    with m.If(step):
        m.d.sync += place.eq(Mux(place == depth - 1, 0, place + 1))
    return place


class Buffer(wiring.Component):
    """A FIFO of `depth` items, an even number, without a way to hold up who gives: that is for credits.

    Members: put In(1) and a cycle later item In(shape); head Out(shape) and valid Out(1), take
    In(1). From item to head 3 cycles, an item a cycle. Two registers stand for the head in turn,
    and each is filled when it is empty: so `take` moves three flip-flops, and nothing else waits
    for it. There are two memories, each read in every second cycle at most, so that their addresses
    are registers; nor is there a gate before their enables.
    """

    latency = 3

    def __init__(self, shape: ShapeLike, depth: int):
        self._shape = shape
        self._depth = depth
        super().__init__(
            {"item": In(shape), "put": In(1), "head": Out(shape), "valid": Out(1), "take": In(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = Shape.cast(self._shape).width
        m.submodules.stored = stored = Credits(self._depth, 0)
        put, written, filling, leaving = Signal(), Signal(), Signal(), Signal()
        full, heads = Signal(2), [Signal(width, name=f"head_{i}", reset_less=True) for i in (0, 1)]
        m.d.sync += [put.eq(self.put), written.eq(put)]
        m.d.comb += [
            stored.returned.eq(written),
            stored.taken.eq(stored.any & ~full.bit_select(filling, 1)),
            self.valid.eq(full.bit_select(leaving, 1)),
            self.head.eq(Mux(leaving, heads[1], heads[0])),
        ]
        produce, odd = _turned(m, "produce", self._depth, self.put), Signal()
        m.d.sync += odd.eq(odd ^ stored.taken)
        read = []
        for parity in (0, 1):
            m.submodules[f"memory_{parity}"] = rows = memory.Memory(
                shape=width, depth=self._depth // 2, init=[]
            )
            write, port = rows.write_port(), rows.read_port()
            address = _turned(
                m, f"consume_{parity}", self._depth // 2, stored.taken & (odd == parity)
            )
            m.d.sync += write.en.eq(self.put & (produce[0] == parity))
            m.d.comb += [
                write.addr.eq(Delay(m)(produce[1:], 1, f"to_{parity}")),
                write.data.eq(self.item),
                port.addr.eq(address),
            ]
            read.append(port.data)
        for index, head in enumerate(heads):
            with m.If(full[index]):
                m.d.sync += full[index].eq(~(self.take & (leaving == index)))
            with m.Else():
                m.d.sync += [
                    head.eq(Mux(odd, read[1], read[0])),
                    full[index].eq(stored.any & (filling == index)),
                ]
        m.d.sync += [
            filling.eq(filling ^ stored.taken),
            leaving.eq(leaving ^ (self.valid & self.take)),
        ]
        return m


class Credits(wiring.Component):
    """Places to hand out, `count` of them: `any` Out(1) while there is one, taken In(1), returned In(1).

    At first `left` of them can be taken, or all. `any` is a register: a place returned counts from
    the next cycle on. A place may be taken only while there is one.
    """

    def __init__(self, count: int, left: int | None = None):
        self._count = count
        self._left = count if left is None else left
        super().__init__(
            {"any": Out(1, init=int(self._left > 0)), "taken": In(1), "returned": In(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Counted in unary, bit i for more than i places, and a cycle late: what takes a place has
        # few flip-flops to reach, and no carry stands before `any`.
        late = Signal(self._count, init=(1 << self._left) - 1)
        up, down = Signal(), Signal()
        left = Mux(up, Cat(1, late), Mux(down, late[1:], late))
        m.d.sync += [
            late.eq(left),
            up.eq(self.returned & ~self.taken),
            down.eq(self.taken & ~self.returned),
            self.any.eq(Mux(self.taken, left[1], left[0]) | self.returned),
        ]
        return m
