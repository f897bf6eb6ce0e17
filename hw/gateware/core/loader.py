"""The loader: runs load commands in order, and writes the transfers of the bus to their buffers."""

from amaranth import Cat, Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec.commands import RingName
from hw.config import Config
from hw.gateware.core.operand_buffer import WritePort
from hw.gateware.lib.queue import Queue

__all__ = ["Loader", "load_layout"]


def load_layout(config: Config) -> data.StructLayout:
    """A load descriptor: its buffer (a RingName), and its lines less one."""
    return data.StructLayout({"ring": 2, "lines": config.line_width})


class Loader(wiring.Component):
    """Writes transfers to the operand buffers, load after load.

    Parameters:
      config   the build

    Members:
      loads In(stream of load_layout)        load descriptors
      transfers In(stream of 8 * bus bits)   the load stream
      write Out(WritePort), by RingName      write ports of the buffers

    Throughput: one transfer a cycle while the buffer has room, and one cycle between loads. `ready`
    of both streams depends on registers alone.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "loads": In(stream.Signature(load_layout(config))),
                "transfers": In(stream.Signature(8 * config.bus)),
                "write": Out(WritePort(bus=config.bus)).array(len(RingName)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        # The queue's head register and the current load hold two of the `load_queue` loads.
        m.submodules.queue = queue = Queue(
            shape=load_layout(self._config), depth=self._config.load_queue - 2
        )
        wiring.connect(m, wiring.flipped(self.loads), queue.items)
        load = queue.head.payload
        # One-hot: the buffer of the current load; no bit is set between loads.
        chosen = Signal(len(self.write))
        left, stepped = Signal(self._config.line_width), Signal()
        put, line, end = Signal(len(self.write)), Signal(), Signal()
        room = Cat(port.room for port in self.write)
        m.d.comb += [
            line.eq((Cat(port.line for port in self.write) & chosen).any()),
            self.transfers.ready.eq((room & chosen).any()),
            put.eq(Mux(self.transfers.valid, room & chosen, 0)),
            # `left` is updated one cycle late: `stepped` marks a line that it still includes.
            end.eq(line & (left == stepped)),
            queue.head.ready.eq(~chosen.any()),
        ]
        for index, port in enumerate(self.write):
            m.d.comb += [
                port.data.eq(self.transfers.payload),
                port.put.eq(put[index]),
                port.end.eq(end),
            ]
        with m.If(chosen.any()):
            m.d.sync += [stepped.eq(put.any() & line), left.eq(left - stepped)]
            with m.If(put.any() & end):
                m.d.sync += chosen.eq(0)
        with m.Else():
            m.d.sync += [
                chosen.eq(Mux(queue.head.valid, 1 << load.ring, 0)),
                left.eq(load.lines),
                stepped.eq(0),
            ]
        return m
