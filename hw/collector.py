"""Storage for the results of tiles in flight: it takes what the array cannot hold back."""

from amaranth import Module, Signal
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.config import Config


class Collector(wiring.Component):
    """One memory per column, written as its chain drains and read one array row at a time.

    Members: sums In(cols x sum_width) and drained In(cols) from the array; stored Out, the rows that are whole;
    read In(1) takes the oldest one: its sums stand at `row` Out(cols x sum_width) from the next cycle until the
    next read. `depth` is in rows; whoever launches tiles keeps it from overflowing. Throughput one row per cycle.
    """

    def __init__(self, config: Config, depth: int):
        self._config = config
        self.depth = depth
        super().__init__(
            {
                "sums": In(data.ArrayLayout(config.sum_width, config.cols)),
                "drained": In(config.cols),
                "stored": Out(range(depth + 1)),
                "read": In(1),
                "row": Out(data.ArrayLayout(config.sum_width, config.cols)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        read_address = self._counter(m, "read_address", self.read)
        # Columns drain one cycle after each other, so one write address steps along with them.
        write_address = self._counter(m, "write_address", self.drained[0])
        for c in range(self._config.cols):
            m.submodules[f"column_{c}"] = column = memory.Memory(
                shape=self._config.sum_width, depth=self.depth, init=[]
            )
            write, read = column.write_port(), column.read_port()
            m.d.comb += [
                write.addr.eq(write_address),
                write.data.eq(self.sums[c]),
                write.en.eq(self.drained[c]),
                read.addr.eq(read_address),
                read.en.eq(self.read),
                self.row[c].eq(read.data),
            ]
            write_address, previous = Signal.like(write_address, name=f"write_address_{c + 1}"), write_address
            m.d.sync += write_address.eq(previous)
        m.d.sync += self.stored.eq(self.stored + self.drained[-1] - self.read)
        return m

    def _counter(self, m: Module, name: str, step: Signal) -> Signal:
        address = Signal(range(self.depth), name=name)
        with m.If(step):
            with m.If(address == self.depth - 1):
                m.d.sync += address.eq(0)
            with m.Else():
                m.d.sync += address.eq(address + 1)
        return address
