"""Storage for the results of tiles in flight: it takes what the array cannot hold back."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.config import Config


def count_width(config: Config, slots: int) -> int:
    """Bits in which drained rows are counted: two counts that are all slots and a tile apart compare right."""
    return (2 * config.rows * slots).bit_length() + 1


class Collector(wiring.Component):
    """One memory per column, written as its chain drains and read one array row at a time.

    Members: sums In(cols x sum_width) and drained In(cols) from the array; address In(row) of the sums that stand at
    `data` Out(cols x sum_width) in the next cycle; count Out(count_width) rows that can be read, since the reset.
    Rows are stored in turn, `rows` of them for each of `slots` tiles; whoever launches tiles keeps their number at
    that. A row written and a row read per cycle.
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
            m.submodules[f"column_{c}"] = column = memory.Memory(
                shape=self._config.sum_width, depth=self._depth, init=[]
            )
            write, read = column.write_port(), column.read_port()
            m.d.comb += [
                write.addr.eq(address),
                write.data.eq(self.sums[c]),
                write.en.eq(self.drained[c]),
                read.addr.eq(self.address),
                read.en.eq(1),
                self.data[c].eq(read.data),
            ]
            address, previous = Signal.like(address, name=f"address_{c + 1}"), address
            m.d.sync += address.eq(previous)
        m.d.sync += self.count.eq(self.count + self.drained[-1])
        return m
