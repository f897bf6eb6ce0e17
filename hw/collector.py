"""Storage for the results of tiles in flight: it takes what the array cannot hold back."""

from amaranth import Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory, wiring
from amaranth.lib.wiring import In, Out

from hw.config import Config


class Collector(wiring.Component):
    """One memory per column, written as its chain drains and read one array row at a time.

    Members: sums In(cols x sum_width) and drained In(cols) from the array; read In(1) and row In(row) ask for a row
    of the oldest tile, which stands at `data` Out(cols x sum_width) from the next cycle until the next read;
    whole Out(1) says that it has drained; finished In(1) gives the oldest tile up, drained or not.
    Whoever launches tiles keeps their number at `slots`. Throughput one row per cycle.
    """

    def __init__(self, config: Config, slots: int):
        self._config = config
        self.slots = slots
        sums = data.ArrayLayout(config.sum_width, config.cols)
        super().__init__(
            {
                "sums": In(sums),
                "drained": In(config.cols),
                "row": In(range(config.rows)),
                "read": In(1),
                "whole": Out(1),
                "finished": In(1),
                "data": Out(sums),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        rows, depth = self._config.rows, self._config.rows * self.slots
        oldest, write_address = Signal(range(depth)), Signal(range(depth))
        # Columns drain one cycle after each other, so one write address steps along with them.
        with m.If(self.drained[0]):
            m.d.sync += write_address.eq(_next(write_address, 1, depth))
        with m.If(self.finished):
            m.d.sync += oldest.eq(_next(oldest, rows, depth))
        for c in range(self._config.cols):
            m.submodules[f"column_{c}"] = column = memory.Memory(
                shape=self._config.sum_width, depth=depth, init=[]
            )
            write, read = column.write_port(), column.read_port()
            m.d.comb += [
                write.addr.eq(write_address),
                write.data.eq(self.sums[c]),
                write.en.eq(self.drained[c]),
                read.addr.eq(oldest + self.row),
                read.en.eq(self.read),
                self.data[c].eq(read.data),
            ]
            write_address, previous = Signal.like(write_address, name=f"write_address_{c + 1}"), write_address
            m.d.sync += write_address.eq(previous)
        # Rows that have drained beyond those of the tiles given up, which may be ahead of the array.
        drained = Signal(signed((2 * depth).bit_length() + 1))
        with m.If(self.finished):
            m.d.sync += drained.eq(drained + self.drained[-1] - rows)
        with m.Else():
            m.d.sync += drained.eq(drained + self.drained[-1])
        m.d.comb += self.whole.eq(drained > self.row)
        return m


def _next(address: Value, step: int, depth: int) -> Value:
    """An address so many steps on, around the end."""
    return Mux(address >= depth - step, address + step - depth, address + step)
