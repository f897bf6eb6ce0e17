"""Load commands, one after another: beats of the load stream go to the ring that asked for them."""

from amaranth import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import Config
from hw.gateware.lib.queue import Queue


def load_layout(config: Config) -> data.StructLayout:
    """A load in the queue: its ring, and one less than its lines."""
    return data.StructLayout({"ring": 2, "lines": config.line_width})


class Loader(wiring.Component):
    """Hands beats to the rings, load after load, with a cycle between them.

    Members: loads In(stream of load_layout), beats In(stream of 8 * bus bits); put Out(3), by ring,
    with `end` Out(1) for the last beat of a load; line In(3) and room In(3) from the rings. A beat
    a cycle while there is room. `ready` of both streams depends on registers alone.
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
        # The load at its head and the current one are out of the queue.
        m.submodules.queue = queue = Queue(shape=layout, depth=self._config.load_queue - 2)
        wiring.connect(m, wiring.flipped(self.loads), queue.items)
        load = queue.head.payload
        chosen, left, stepped = Signal(3), Signal(self._config.line_width), Signal()
        line = Signal()
        m.d.comb += [
            line.eq((self.line & chosen).any()),
            self.beats.ready.eq((self.room & chosen).any()),
            self.put.eq(Mux(self.beats.valid, self.room & chosen, 0)),
            # Lines are counted a cycle late.
            self.end.eq(line & (left == stepped)),
            queue.head.ready.eq(~chosen.any()),
        ]
        with m.If(chosen.any()):
            m.d.sync += [stepped.eq(self.put.any() & line), left.eq(left - stepped)]
            with m.If(self.put.any() & self.end):
                m.d.sync += chosen.eq(0)
        with m.Else():
            m.d.sync += [
                chosen.eq(Mux(queue.head.valid, 1 << load.ring, 0)),
                left.eq(load.lines),
                stepped.eq(0),
            ]
        return m
