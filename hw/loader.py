"""Load commands, one after another: beats of the load stream go to the ring that asked for them."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.commands import RingName
from hw.config import Config


def load_layout(config: Config) -> data.StructLayout:
    """A load in the queue: its ring, and one less than its lines."""
    return data.StructLayout({"ring": 2, "lines": config.line_width})


class Loader(wiring.Component):
    """Hands beats to the rings, load after load, without a cycle between them.

    Members: loads In(stream of load_layout), beats In(stream of 8 * bus bits); put Out(3), by ring, with `end`
    Out(1) for the last beat of a load; line In(3) and room In(3) from the rings. A beat a cycle while there is
    room. `ready` of both streams depends on registers alone.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "loads": In(stream.Signature(load_layout(config))),
                "beats": In(stream.Signature(8 * config.bus)),
                "put": Out(3),
                "end": Out(1),
                "line": In(3),
                "room": In(3),
            }
        )

    def elaborate(self, platform: object) -> Module:
        layout = load_layout(self._config)
        m = Module()
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=layout.size, depth=self._config.load_queue)
        load = data.View(layout, queue.r_data)
        m.d.comb += [
            queue.w_data.eq(self.loads.payload),
            queue.w_en.eq(self.loads.valid),
            self.loads.ready.eq(queue.w_rdy),
        ]
        done = Signal(self._config.line_width)
        chosen, taken, line = Signal(3), Signal(), Signal()
        with m.Switch(load.ring):
            for ring in RingName:
                with m.Case(ring.value):
                    m.d.comb += [chosen.eq(1 << ring.value), line.eq(self.line[ring.value])]
        m.d.comb += [
            self.beats.ready.eq(queue.r_rdy & (self.room & chosen).any()),
            taken.eq(self.beats.valid & self.beats.ready),
            self.put.eq(Mux(taken, chosen, 0)),
            self.end.eq(line & (done == load.lines)),
            queue.r_en.eq(taken & self.end),
        ]
        with m.If(taken & line):
            m.d.sync += done.eq(Mux(self.end, 0, done + 1))
        return m
