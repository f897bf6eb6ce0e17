"""FIFOs with registered ports, and credits."""

from amaranth import Cat, Module, Mux, Shape, Signal, Value
from amaranth.hdl import ShapeLike
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.gateware.lib.counter import counter
from hw.gateware.lib.delay import register

__all__ = ["Buffer", "Credits", "Queue"]


class Queue(wiring.Component):
    """FIFO between two streams, with a register behind each port.

    Neither port drives the memory pointers combinationally.

    Parameters:
        shape: Shape of an item.
        depth: Items in the memory, at least 1. One more waits at the head.

    Members:
        items: In(stream of `shape`). Items to store; `ready` is a register.
        head: Out(stream of `shape`). The oldest item; `valid` and `payload` are registers.

    Latency: 4 cycles from a transfer at `items` to `head.valid`.
    Throughput: one item every 3 cycles, every 5 with a depth of 1.

    Raises:
        ValueError: `depth` is below 1.
    """

    latency = 4

    def __init__(self, *, shape: ShapeLike, depth: int):
        if depth < 1:
            raise ValueError(f"depth: expected at least 1, got {depth!r}")
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
        # `held` counts the items accepted, `stored` those of them that can be read.
        held, stored = Signal(range(self._depth + 1)), Signal(range(self._depth + 1))
        produce = counter(m, self._depth, taken, "produce")
        # An item is at the head for two cycles or more, in which the memory reads the next one.
        consume = counter(m, self._depth, moved, "consume")
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


class Buffer(wiring.Component):
    """FIFO of an item per cycle, without back-pressure at its input.

    The producer keeps `Credits` for `depth` items, so the input needs no `ready`. Two head
    registers serve the output in turn, each refilled while empty, so `take` drives three flip-flops
    and no memory pin. Two memories hold the even and the odd items; each is read at most every
    second cycle, so its address is a register.

    Parameters:
        shape: Shape of an item.
        depth: Items that fit, an even number of at least 2.

    Members:
        put: In(1). An item follows in the next cycle.
        item: In(`shape`). The item, one cycle after its `put`.
        head: Out(`shape`). The oldest item, while `valid`.
        valid: Out(1). There is an item at `head`.
        take: In(1). Remove the item at `head`; ignored unless `valid`.

    Latency: `latency` cycles from `item` to `head`. Throughput: one item per cycle.

    Raises:
        ValueError: `depth` is odd or below 2.
    """

    latency = 3

    def __init__(self, *, shape: ShapeLike, depth: int):
        if depth < 2 or depth % 2:
            raise ValueError(f"depth: expected an even number of at least 2, got {depth!r}")
        self._shape = shape
        self._depth = depth
        super().__init__(
            {"item": In(shape), "put": In(1), "head": Out(shape), "valid": Out(1), "take": In(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = Shape.cast(self._shape).width
        m.submodules.stored = stored = Credits(count=self._depth, initial=0)
        put, written, filling, leaving = Signal(), Signal(), Signal(), Signal()
        full, heads = Signal(2), [Signal(width, name=f"head_{i}", reset_less=True) for i in (0, 1)]
        m.d.sync += [put.eq(self.put), written.eq(put)]
        m.d.comb += [
            stored.returned.eq(written),
            stored.taken.eq(stored.any & ~full.bit_select(filling, 1)),
            self.valid.eq(full.bit_select(leaving, 1)),
            self.head.eq(Mux(leaving, heads[1], heads[0])),
        ]
        read, odd = self._memories(m, width, stored.taken)
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

    def _memories(self, m: Module, width: int, moved: Value) -> tuple[list[Value], Value]:
        """Return the oldest even and odd items, and whether the oldest of both is the odd one."""
        produce, odd = counter(m, self._depth, self.put, "produce"), Signal()
        m.d.sync += odd.eq(odd ^ moved)
        read = []
        for parity in (0, 1):
            m.submodules[f"memory_{parity}"] = rows = memory.Memory(
                shape=width, depth=self._depth // 2, init=[]
            )
            write, port = rows.write_port(), rows.read_port()
            address = counter(m, self._depth // 2, moved & (odd == parity), f"consume_{parity}")
            m.d.sync += write.en.eq(self.put & (produce[0] == parity))
            m.d.comb += [
                write.addr.eq(register(m, produce[1:], f"to_{parity}_0")),
                write.data.eq(self.item),
                port.addr.eq(address),
            ]
            read.append(port.data)
        return read, odd


class Credits(wiring.Component):
    """Counter of free slots, with a registered flag.

    The count is unary, bit i set for more than i slots, and one cycle late. So `taken` and
    `returned` drive few flip-flops, and no carry chain precedes `any`.

    Parameters:
        count: Most credits, at least 1.
        initial: Credits after a reset, 0..`count`; None for all.

    Members:
        any: Out(1). There is a credit; a register.
        taken: In(1). Remove one credit. Only while `any`.
        returned: In(1). Add one credit. Only while fewer than `count` are left.

    Latency: 1 cycle from `returned` to `any`. Throughput: one credit each way per cycle.

    Raises:
        ValueError: `count` is below 1, or `initial` not in 0..`count`.
    """

    latency = 1

    def __init__(self, *, count: int, initial: int | None = None):
        if count < 1:
            raise ValueError(f"count: expected at least 1, got {count!r}")
        if initial is not None and not 0 <= initial <= count:
            raise ValueError(f"initial: expected 0..{count}, got {initial!r}")
        self._count = count
        self._initial = count if initial is None else initial
        super().__init__(
            {"any": Out(1, init=int(self._initial > 0)), "taken": In(1), "returned": In(1)}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        late = Signal(self._count, init=(1 << self._initial) - 1)
        up, down = Signal(), Signal()
        left = Mux(up, Cat(1, late), Mux(down, late[1:], late))
        m.d.sync += [
            late.eq(left),
            up.eq(self.returned & ~self.taken),
            down.eq(self.taken & ~self.returned),
            self.any.eq(Mux(self.taken, left[1], left[0]) | self.returned),
        ]
        return m
