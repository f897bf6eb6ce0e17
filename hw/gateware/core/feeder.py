"""The feeder: reads the panels of one tile after another into the array."""

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec.commands import Ring
from hw.config import OFFSET_WIDTH, Config
from hw.gateware.core.ring import RingBuffer, sequence_width
from hw.gateware.core.tile import tile_layout
from hw.gateware.lib.delay import Delay
from hw.gateware.lib.queue import Credits, Queue


class Feeder(wiring.Component):
    """A k of a tile per cycle, tiles without a pause between them.

    Members: tiles In(stream of tile_layout); by ring: loaded In, address Out, freed Out; beat
    Out(1) and what goes with it for the array: mode, offset, last, `RingBuffer.latency` cycles
    behind the addresses; started Out(1) and `tile` Out(tile_layout) in the cycle of a tile's last
    address; finished In(1) when a tile's results are out.

    A tile waits for its panels, and its last k until the array's drain chains are free (`interval`
    cycles after the tile before) and the collector has room (`slots` tiles). Throughput: max(k,
    interval, 3) cycles a tile.
    """

    latency = 1 + RingBuffer.latency
    """Cycles from a tile's k to its operands at the array."""

    def __init__(self, config: Config, slots: int):
        self._config = config
        self._slots = slots
        rings = {"x": config.x_ring, "w": config.w_ring, "p": config.p_ring}
        members: dict[str, wiring.Member] = {
            f"loaded_{name}": In(sequence_width(ring)) for name, ring in rings.items()
        }
        members |= {
            f"address_{name}": Out(range(rings[name].lines * rings[name].factor)) for name in "xw"
        }
        members |= {f"freed_{name}": Out(range(rings[name].lines + 1)) for name in "xw"}
        super().__init__(
            {
                **members,
                "tiles": In(stream.Signature(tile_layout(config))),
                "beat": Out(1),
                "mode": Out(config.mode_width),
                "offset": Out(OFFSET_WIDTH),
                "last": Out(1),
                "started": Out(1),
                "tile": Out(tile_layout(config)),
                "finished": In(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, layout = self._config, tile_layout(self._config)
        m = Module()
        m.submodules.queue = queue = Queue(shape=layout, depth=config.compute_queue)
        wiring.connect(m, wiring.flipped(self.tiles), queue.items)
        following = queue.head.payload
        # What begins is at hand a cycle later, with `started`: so many registers wait for a
        # flip-flop alone.
        begun, current = Signal(layout, reset_less=True), Signal(layout, reset_less=True)
        with m.If(self.started):
            m.d.sync += current.eq(begun)
        ready, running, last = Signal(), Signal(), Signal()
        left = Signal(range(config.k_max))
        go, begin, ended = Signal(), Signal(), Signal()
        allowed = self._allowed(m, ended)
        m.d.comb += [
            ended.eq(running & last & allowed),
            go.eq(running & (~last | allowed)),
            begin.eq(ready & (~running | ended)),
            queue.head.ready.eq(begin),
            self.tile.eq(begun),
        ]
        went, over = Signal(), Signal()
        m.d.sync += [
            ready.eq(queue.head.valid & ~begin & self._loaded(following)),
            self.started.eq(begin),
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
        for name, ring in (("x", config.x_ring), ("w", config.w_ring)):
            m.d.comb += getattr(self, f"address_{name}").eq(
                self._address(m, name, ring, begun[name].line, self.started, went)
            )
            m.d.sync += getattr(self, f"freed_{name}").eq(Mux(over, current[name].frees, 0))

        delay = Delay(m)
        m.d.comb += [
            Cat(self.beat, self.last).eq(delay(Cat(go, ended), self.latency, "beat", init=0)),
            Cat(self.mode, self.offset).eq(
                delay(Cat(current.mode, current.offset), self.latency - 1, "about")
            ),
        ]
        return m

    def _allowed(self, m: Module, ended: Value) -> Value:
        """Whether a tile may end in this cycle: two registers."""
        m.submodules.places = places = Credits(count=self._slots)
        m.d.comb += [places.taken.eq(ended), places.returned.eq(self.finished)]
        spacing, spaced = Signal(range(self._config.interval)), Signal(init=1)
        with m.If(ended):
            m.d.sync += [
                spacing.eq(self._config.interval - 1),
                spaced.eq(self._config.interval == 1),
            ]
        with m.Elif(~spaced):
            m.d.sync += [spacing.eq(spacing - 1), spaced.eq(spacing == 1)]
        return places.any & spaced

    def _loaded(self, tile: data.View) -> Value:
        """Whether all that a tile reads is in the rings."""
        ahead = [
            (getattr(self, f"loaded_{name}") - tile[name].needs)[: len(tile[name].needs)]
            for name in "xwp"
        ]
        return ~Cat(difference[-1] for difference in ahead).any()

    def _address(
        self, m: Module, name: str, ring: Ring, line: Value, begin: Value, step: Value
    ) -> Signal:
        """Words of a ring, counted from a panel's first line on."""
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
