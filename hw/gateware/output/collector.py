"""The collector: memory for the results of tiles in flight, because the array cannot stall."""

from functools import partial

from amaranth import Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.config import Config
from hw.gateware.lib.delay import Delay
from hw.target import kept_apart, place

__all__ = ["Collector", "Column", "Part", "SumsPort", "count_width"]


def count_width(config: Config, slots: int) -> int:
    """Bits of a count of drained rows.

    The sign bit of the difference orders two counts that are up to all slots and a tile apart.
    """
    return (2 * config.rows * slots).bit_length() + 1


class SumsPort(wiring.Signature):
    """Reads array rows of sums from the collector, from the reader's side.

    Parameters:
      config   the build
      slots    tiles that the collector holds

    Members:
      address (to the collector)   row to read, 0..rows * slots - 1
      data (cols x sum_width)      the row's sums, `Column.latency` cycles later
      count (count_width bits)     rows stored so far, modulo 2^count_width
    """

    def __init__(self, config: Config, *, slots: int):
        super().__init__(
            {
                "address": Out(range(config.rows * slots)),
                "data": In(data.ArrayLayout(config.sum_width, config.cols)),
                "count": In(count_width(config, slots)),
            }
        )


PART_BITS = 36
"""Bits of a sum that share a memory's address registers."""


def _members(width: int, depth: int) -> dict[str, wiring.Member]:
    """Members of a column, and of each of its parts."""
    return {
        "write": In(1),
        "to": In(range(depth)),
        "sum": In(width),
        "address": In(range(depth)),
        "data": Out(width),
    }


@kept_apart
class Part(wiring.Component):
    """Some bits of a column's sums, with registers of their own before and behind the memory.

    Parameters and members: those of Column. Latency: `latency` cycles from address to data. Mapping
    keeps the registers apart as it does for hw.gateware.core.operand_buffer.Bank.
    """

    latency = 3

    def __init__(self, *, width: int, depth: int):
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
    """The sums of one array column.

    Parameters:
      width   bits of a sum
      depth   sums

    Members:
      write In(1), to In(row), sum In(width)   `sum` is stored at `to`
      address In(row), data Out(width)         `data` follows `address` by `latency` cycles

    The columns are spread across the part: an address takes one cycle to each column, and one to
    the column's parts.
    """

    latency = 1 + Part.latency

    def __init__(self, *, width: int, depth: int):
        self._width, self._depth = width, depth
        super().__init__(_members(width, depth))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        address = Delay(m)(self.address, 1, "address")
        for start in range(0, self._width, PART_BITS):
            width = min(PART_BITS, self._width - start)
            factory = partial(Part, width=width, depth=self._depth)
            part = place(m, f"part_{start}", f"column_part_{width}", factory, platform)
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

    Parameters:
      config   the build
      slots    tiles that it holds, >= 1

    Members:
      sums In(cols x sum_width)   the array's sums
      drained In(cols)            bit c: `sums[c]` is a result; one cycle after bit c - 1
      read In(SumsPort)           rows of sums, and their count

    Raises ValueError for `slots` below 1.

    Rows are stored in a ring of `slots` tiles of `rows` rows. The unit that starts tiles must allow
    no more than `slots` unread ones. Throughput: one row written and one row read a cycle.
    """

    def __init__(self, config: Config, *, slots: int):
        if slots < 1:
            raise ValueError(f"slots: expected an integer >= 1, got {slots!r}")
        self._config = config
        self._depth = config.rows * slots
        super().__init__(
            {
                "sums": In(data.ArrayLayout(config.sum_width, config.cols)),
                "drained": In(config.cols),
                "read": In(SumsPort(config, slots=slots)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # Columns drain one cycle after each other, so one write address follows them through a
        # chain of registers.
        address = Signal(range(self._depth))
        with m.If(self.drained[0]):
            m.d.sync += address.eq(Mux(address == self._depth - 1, 0, address + 1))
        factory = partial(Column, width=self._config.sum_width, depth=self._depth)
        for c in range(self._config.cols):
            column = place(m, f"column_{c}", "column", factory, platform)
            m.d.comb += [
                column.write.eq(self.drained[c]),
                column.to.eq(address),
                column.sum.eq(self.sums[c]),
                column.address.eq(self.read.address),
                self.read.data[c].eq(column.data),
            ]
            # No reset: after a reset, the first address arrives here before the first sum.
            following = Signal.like(address, name=f"address_{c + 1}", reset_less=True)
            m.d.sync += following.eq(address)
            address = following
        m.d.sync += self.read.count.eq(self.read.count + self.drained[-1])
        return m
