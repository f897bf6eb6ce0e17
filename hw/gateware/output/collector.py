"""Storage for the results of tiles in flight: it takes what the array cannot hold back."""

from functools import partial

from amaranth import Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.config import Config
from hw.gateware.lib.delay import Delay
from hw.target import kept_apart, place


def count_width(config: Config, slots: int) -> int:
    """Bits in which drained rows are counted: two counts that are all slots and a tile apart compare right."""
    return (2 * config.rows * slots).bit_length() + 1


PART = 36
"""Bits of a sum that share a memory's address registers."""


def _members(width: int, depth: int) -> dict[str, wiring.Member]:
    """Of a column, and of each part of it."""
    return {
        "write": In(1),
        "to": In(range(depth)),
        "sum": In(width),
        "address": In(range(depth)),
        "data": Out(width),
    }


@kept_apart
class Part(wiring.Component):
    """Some bits of a column's sums, with the same members, `latency` cycles from address to data.

    The registers around the memory are its own, as a ring's bank has its own (see
    hw.gateware.core.ring.Bank).
    """

    latency = 3

    def __init__(self, width: int, depth: int):
        self._width, self._depth = width, depth
        super().__init__(_members(width, depth))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = rows = memory.Memory(shape=self._width, depth=self._depth, init=[])
        write, read = rows.write_port(), rows.read_port()
        delay = Delay(m)
        m.d.comb += [
            write.en.eq(self.write),
            write.addr.eq(self.to),
            write.data.eq(self.sum),
            read.en.eq(1),
            read.addr.eq(delay(self.address, 1, "address")),
            self.data.eq(delay(read.data, 1, "stored")),
        ]
        return m


@kept_apart
class Column(wiring.Component):
    """The sums of one column's chain.

    Members: write In(1), to In(row), sum In(width); address In(row), data Out(width) `latency`
    cycles later. Columns stand side by side across a part, so that an address has a cycle to each
    of them, and one to its parts.
    """

    latency = 1 + Part.latency

    def __init__(self, width: int, depth: int):
        self._width, self._depth = width, depth
        super().__init__(_members(width, depth))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        address = Delay(m)(self.address, 1, "address")
        for start in range(0, self._width, PART):
            width = min(PART, self._width - start)
            part = place(
                m,
                f"part_{start}",
                f"column_part_{width}",
                partial(Part, width, self._depth),
                platform,
            )
            m.d.comb += [
                part.write.eq(self.write),
                part.to.eq(self.to),
                part.sum.eq(self.sum[start : start + width]),
                part.address.eq(address),
                self.data[start : start + width].eq(part.data),
            ]
        return m


class Collector(wiring.Component):
    """One memory per column, written as its chain drains and read one array row at a time.

    Members: sums In(cols x sum_width) and drained In(cols) from the array; address In(row) of the
    sums that stand at `data` Out(cols x sum_width) `Column.latency` cycles later; count
    Out(count_width) rows that can be read. Rows are stored in turn, `rows` of them for each of
    `slots` tiles; whoever launches tiles keeps their number at that. A row written and a row read
    per cycle.
    """

    def __init__(self, config: Config, slots: int):
        self._config = config
        self._depth = config.rows * slots
        sums = data.ArrayLayout(config.sum_width, config.cols)
        super().__init__(
            {
                "sums": In(sums),
                "drained": In(config.cols),
                "address": In(range(self._depth)),
                "data": Out(sums),
                "count": Out(count_width(config, slots)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Columns drain one cycle after each other, so one write address steps along with them.
        address = Signal(range(self._depth))
        with m.If(self.drained[0]):
            m.d.sync += address.eq(Mux(address == self._depth - 1, 0, address + 1))
        for c in range(self._config.cols):
            width = self._config.sum_width
            column = place(
                m, f"column_{c}", "column", partial(Column, width, self._depth), platform
            )
            m.d.comb += [
                column.write.eq(self.drained[c]),
                column.to.eq(address),
                column.sum.eq(self.sums[c]),
                column.address.eq(self.address),
                self.data[c].eq(column.data),
            ]
            # Behind a reset an address is there before a sum can be.
            address, previous = (
                Signal.like(address, name=f"address_{c + 1}", reset_less=True),
                address,
            )
            m.d.sync += address.eq(previous)
        m.d.sync += self.count.eq(self.count + self.drained[-1])
        return m
