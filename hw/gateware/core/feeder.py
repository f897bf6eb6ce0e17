"""The feeder: reads the panels of one tile after another into the array."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec.commands import Ring
from hw.config import Config
from hw.gateware.core.operand_buffer import OperandBuffer, ReadPort, sequence_width
from hw.gateware.core.tile import Handoff, tile_layout
from hw.gateware.lib.delay import Delay
from hw.gateware.lib.queue import Credits, Queue

__all__ = ["Feeder", "loaded_layout"]


def loaded_layout(config: Config) -> data.StructLayout:
    """`OperandBuffer.loaded` of the three buffers."""
    rings = zip("xwp", config.rings, strict=True)
    return data.StructLayout({name: sequence_width(ring) for name, ring in rings})


class Feeder(wiring.Component):
    """Sends one k of a tile per cycle to the array, without a pause between tiles.

    Parameters:
      config   the build
      slots    tiles whose results the collector holds, >= 1

    Members:
      tiles In(stream of tile_layout)   tile descriptors
      loaded In(loaded_layout)          lines that can be read from each buffer
      read_x, read_w Out(ReadPort)      read ports of the x and w buffers
      valid Out(1)                      `step` is one k of a tile
      step Out(config.step_layout)      operands, mode, offset, and whether the k is the tile's last
      handoff Out(Handoff)              the tile, in the cycle of its first address

    Raises ValueError for `slots` below 1.

    A tile waits until its panels are loaded. Its last k waits until the array's drain chains are
    free, `interval` cycles after the last k of the tile before, and until the collector has a free
    slot. Latency: `latency` cycles from a k to its step. Throughput: max(k, interval, 3) cycles a
    tile.
    """

    latency = 1 + OperandBuffer.latency
    """Cycles from a tile's k to its operands at the array."""

    def __init__(self, config: Config, *, slots: int):
        if slots < 1:
            raise ValueError(f"slots: expected an integer >= 1, got {slots!r}")
        self._config = config
        self._slots = slots
        super().__init__(
            {
                "tiles": In(stream.Signature(tile_layout(config))),
                "loaded": In(loaded_layout(config)),
                "read_x": Out(ReadPort(config.x_ring)),
                "read_w": Out(ReadPort(config.w_ring)),
                "valid": Out(1),
                "step": Out(config.step_layout),
                "handoff": Out(Handoff(config)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, layout = self._config, tile_layout(self._config)
        m = Module()
        m.submodules.queue = queue = Queue(shape=layout, depth=config.compute_queue)
        wiring.connect(m, wiring.flipped(self.tiles), queue.items)
        following = queue.head.payload
        # The descriptor is loaded one cycle after `begin`, so its wide enable, `started`, is driven
        # by a register.
        started = self.handoff.started
        begun, current = Signal(layout, reset_less=True), Signal(layout, reset_less=True)
        with m.If(started):
            m.d.sync += current.eq(begun)
        ready, running, last = Signal(), Signal(), Signal()
        left = Signal(range(config.k_max))
        go, begin, ended = Signal(), Signal(), Signal()
        allowed = self._may_end(m, ended)
        m.d.comb += [
            ended.eq(running & last & allowed),
            go.eq(running & (~last | allowed)),
            begin.eq(ready & (~running | ended)),
            queue.head.ready.eq(begin),
            self.handoff.tile.eq(begun),
        ]
        went, over = Signal(), Signal()
        m.d.sync += [
            ready.eq(queue.head.valid & ~begin & self._is_loaded(following)),
            started.eq(begin),
            begun.eq(following),
            went.eq(go),
            over.eq(ended),
        ]
        with m.If(begin):
            m.d.sync += [
                running.eq(1),
                left.eq(following.depth),
                last.eq(following.depth == 0),
            ]
        with m.Elif(go):
            m.d.sync += [left.eq(left - 1), last.eq(left == 1), running.eq(~last)]
        for name, ring, port in (
            ("x", config.x_ring, self.read_x),
            ("w", config.w_ring, self.read_w),
        ):
            m.d.comb += port.address.eq(
                self._address(m, name, ring, begun[name].line, started, went)
            )
            m.d.sync += port.freed.eq(Mux(over, current[name].frees, 0))
        self._send(m, go, ended, current)
        return m

    def _send(self, m: Module, go: Value, ended: Value, current: data.View) -> None:
        """Drive `step`: the words read, with the mode, the offset and the flag of their k."""
        delay, step = Delay(m), self.step
        m.d.comb += [
            Cat(self.valid, step.last).eq(delay(Cat(go, ended), self.latency, "step", init=0)),
            Cat(step.mode, step.offset).eq(
                delay(Cat(current.mode, current.offset), self.latency - 1, "settings")
            ),
            step.x.eq(self.read_x.word),
            step.w.eq(self.read_w.word),
        ]

    def _may_end(self, m: Module, ended: Value) -> Value:
        """Whether a tile may send its last k in this cycle; the AND of two registers."""
        m.submodules.slots = slots = Credits(count=self._slots)
        m.d.comb += [slots.taken.eq(ended), slots.returned.eq(self.handoff.finished)]
        spacing, spaced = Signal(range(self._config.interval)), Signal(init=1)
        with m.If(ended):
            m.d.sync += [
                spacing.eq(self._config.interval - 1),
                spaced.eq(self._config.interval == 1),
            ]
        with m.Elif(~spaced):
            m.d.sync += [spacing.eq(spacing - 1), spaced.eq(spacing == 1)]
        return slots.any & spaced

    def _is_loaded(self, tile: data.View) -> Value:
        """Whether the buffers contain all panels of a tile."""
        ahead = [(self.loaded[name] - tile[name].needs)[: len(tile[name].needs)] for name in "xwp"]
        return ~Cat(difference[-1] for difference in ahead).any()

    def _address(
        self, m: Module, name: str, ring: Ring, line: Value, begin: Value, step: Value
    ) -> Signal:
        """Address generator: words of a buffer, from a panel's first line on."""
        words = ring.lines * ring.factor
        address = Signal(range(words), name=f"address_{name}", reset_less=True)
        following = (
            address + 1 if words == 1 << len(address) else Mux(address == words - 1, 0, address + 1)
        )
        with m.If(begin):
            m.d.sync += address.eq(line << (ring.factor.bit_length() - 1))
        with m.Elif(step):
            m.d.sync += address.eq(following)
        return address
