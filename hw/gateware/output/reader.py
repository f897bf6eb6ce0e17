"""The reader: walks through the sums of one tile after another, chunk by chunk, as they drain."""

from amaranth import Array as Choice
from amaranth import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from hw.config import RATIO_WIDTH, Config
from hw.gateware.core.tile import Handoff, tile_layout
from hw.gateware.lib.queue import Credits, Queue
from hw.gateware.output.collector import count_width

__all__ = ["Reader", "any_of", "chunk_layout"]

OFFERS = 4
"""Chunks that can be prepared ahead: places in which they wait to be read.

It equals the cycles from taking a chunk to its place being free again.
"""


def chunk_layout(config: Config, slots: int) -> data.StructLayout:
    """A chunk: `results` columns of one row of a tile, to be read.

    address              the row in the collector
    chunk                the group of columns
    upper                1 for the second row of a PE in modes where a PE computes two rows of the
                         tile; undefined in other modes
    parameters           the word of the parameter buffer
    frees                lines to free in the parameter buffer
    mode, output, ratio  settings of the tile
    count                results of this chunk that belong to the tile, less one
    last                 the tile's last chunk
    """
    ring = config.p_ring
    return data.StructLayout(
        {
            "address": range(config.rows * slots),
            "chunk": range(max(2, -(-config.cols * config.w_lanes // config.results))),
            "upper": 1,
            "parameters": range(ring.lines * ring.factor),
            "frees": range(ring.lines + 1),
            "mode": config.mode_width,
            "output": 2,
            "ratio": RATIO_WIDTH,
            "count": range(max(2, config.results)),
            "last": 1,
        }
    )


def any_of(mode: Value, flags: list[bool]) -> Value:
    """Whether the flag of `mode` is set."""
    return (
        Cat(mode == index for index, flag in enumerate(flags) if flag).any() if any(flags) else C(0)
    )


class _Position:
    """The next chunk of the current tile: registers, written by Reader.

    - `first`: address of the tile's first row in the collector;
    - `base`: rows that drain before the tile's first one, all earlier tiles included;
    - `address`: address of the current row in the collector;
    - `needs`: the collector's count at which the current row has drained;
    - `chunks`, `rows`: chunks of the row and rows of the tile that remain after the current ones;
    - `row_end`, `last_row`: whether `chunks` and `rows` are 0;
    - `narrow`: whether each row of the tile is a single chunk.

    The last three are registers too: the comparison is made one cycle early.
    """

    def __init__(self, config: Config, slots: int):
        layout = tile_layout(config)
        rows = range(config.rows * slots)
        self.tile = Signal(layout, reset_less=True)
        self.running = Signal()
        self.chunk, self.odd = Signal.like(self.tile.chunks, name="chunk"), Signal()
        self.first, self.address = Signal(rows), Signal(rows)
        count = count_width(config, slots)
        self.base, self.needs = Signal(count), Signal(count, init=1)
        self.chunks = Signal.like(self.tile.chunks, name="chunks")
        self.rows = Signal.like(self.tile.rows, name="rows")
        self.row_end, self.last_row, self.narrow = Signal(), Signal(), Signal()

    @property
    def end(self) -> Value:
        """Whether the chunk is the tile's last."""
        return self.row_end & self.last_row


class Reader(wiring.Component):
    """Offers the chunks of tiles, each as soon as its row has drained.

    Rows ascend within a tile and columns within a row.

    Parameters:
      config   the build
      slots    tiles that the collector holds, >= 1

    Members:
      handoff In(Handoff)            tiles; `finished` comes the cycle after a tile's last chunk
      drained In(count_width)        the collector's count of rows
      room In(1)                     a chunk may be taken in this cycle
      taken Out(1)                   a chunk is taken; depends on `room`
      read Out(1)                    two cycles after `taken`: `chunk` is the one taken
      chunk Out(chunk_layout)        the chunk

    Throughput: one chunk a cycle. The decision to take a chunk depends on registered flags: up to
    OFFERS chunks are prepared while the first of them waits, and the collector's count is compared
    with the row of each one cycle before the chunk can be taken.
    """

    def __init__(self, config: Config, *, slots: int):
        self._config = config
        self._slots = slots
        self._layout = chunk_layout(config, slots)
        super().__init__(
            {
                "handoff": In(Handoff(config)),
                "drained": In(count_width(config, slots)),
                "room": In(1),
                "chunk": Out(self._layout),
                "taken": Out(1),
                "read": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.queue = queue = Queue(shape=tile_layout(self._config), depth=self._slots + 1)
        m.submodules.slots = slots = Credits(count=OFFERS)
        at = _Position(self._config, self._slots)
        step, turn = Signal(), Signal()
        m.d.comb += [
            queue.items.payload.eq(self.handoff.tile),
            queue.items.valid.eq(self.handoff.started),
            step.eq(at.running & slots.any),
            slots.taken.eq(step),
            turn.eq((step & at.end) | ~at.running),
            queue.head.ready.eq(turn),
        ]
        self._walk(m, at, queue.head, step, turn)
        self._locate(m, at, step)
        self._offer(m, at, step, slots)
        return m

    def _walk(
        self, m: Module, at: _Position, head: stream.Interface, step: Value, turn: Value
    ) -> None:
        """Advance through a tile, chunk by chunk, with `step`; start the next one with `turn`."""
        tile = head.payload
        with m.If(turn):
            m.d.sync += [
                at.tile.eq(tile),
                at.running.eq(head.valid),
                at.chunks.eq(tile.chunks),
                at.rows.eq(tile.rows),
                at.row_end.eq(tile.chunks == 0),
                at.narrow.eq(tile.chunks == 0),
                at.last_row.eq(tile.rows == 0),
            ]
        with m.Elif(step):
            m.d.sync += [
                at.chunks.eq(Mux(at.row_end, at.tile.chunks, at.chunks - 1)),
                at.row_end.eq(Mux(at.row_end, at.narrow, at.chunks == 1)),
            ]
            with m.If(at.row_end):
                m.d.sync += [at.rows.eq(at.rows - 1), at.last_row.eq(at.rows == 1)]

    def _locate(self, m: Module, at: _Position, step: Value) -> None:
        """Advance the chunk's number, its row's address and the count that the row needs."""
        config, depth = self._config, self._config.rows * self._slots
        pairs = any_of(at.tile.mode, [mode.x_lanes == 2 for mode in config.modes])
        with m.If(step):
            m.d.sync += [
                at.chunk.eq(Mux(at.row_end, 0, at.chunk + 1)),
                at.odd.eq(~at.end & (at.odd ^ at.row_end)),
            ]
            with m.If(at.end):
                following = _next(at.first, config.rows, depth)
                m.d.sync += [
                    at.first.eq(following),
                    at.address.eq(following),
                    at.base.eq(at.base + config.rows),
                    at.needs.eq(at.base + config.rows + 1),
                ]
            with m.Elif(at.row_end & (~pairs | at.odd)):
                m.d.sync += [
                    at.address.eq(_next(at.address, 1, depth)),
                    at.needs.eq(at.needs + 1),
                ]

    def _offer(self, m: Module, at: _Position, step: Value, slots: Credits) -> None:
        """Hold prepared chunks in OFFERS places, used in turn, until their rows have drained.

        A place is filled only after its register `offered` has shown it empty. So filling it does
        not depend on whether another chunk is taken in the same cycle.
        """
        offered, ready = Signal(OFFERS), Signal(OFFERS)
        filling, leaving = Signal(range(OFFERS)), Signal(range(OFFERS))
        m.d.comb += self.taken.eq(ready.bit_select(leaving, 1) & self.room)
        for index in range(OFFERS):
            awaited = Signal.like(at.needs, name=f"awaited_{index}", reset_less=True)
            goes = self.taken & (leaving == index)
            drained = ~(self.drained - awaited)[len(awaited) - 1]
            with m.If(~offered[index]):
                m.d.sync += awaited.eq(at.needs)
            m.d.sync += [
                offered[index].eq(Mux(offered[index], ~goes, step & (filling == index))),
                ready[index].eq(offered[index] & ~goes & drained),
            ]
        m.d.sync += [filling.eq(filling + step), leaving.eq(leaving + self.taken)]

        # Descriptors are stored one cycle later, so their wide enables are driven by registers.
        made = self._describe(m, at)
        offers = [
            Signal(self._layout, name=f"offer_{index}", reset_less=True) for index in range(OFFERS)
        ]
        filled, left, went = Signal(OFFERS), Signal.like(leaving), Signal()
        chosen = Signal(self._layout, reset_less=True)
        m.d.comb += [slots.returned.eq(went), self.chunk.eq(chosen)]
        m.d.sync += [
            filled.eq(Cat(step & (filling == index) for index in range(OFFERS))),
            left.eq(leaving),
            went.eq(self.taken),
            self.read.eq(went),
            chosen.eq(Choice(offers)[left]),
            self.handoff.finished.eq(self.read & self.chunk.last),
        ]
        for index, offer in enumerate(offers):
            with m.If(filled[index]):
                m.d.sync += offer.eq(made)

    def _describe(self, m: Module, at: _Position) -> data.View:
        """The descriptor of the chunk at the current position, one cycle later."""
        made = Signal(self._layout, name="made", reset_less=True)
        m.d.sync += [
            made.address.eq(at.address),
            made.chunk.eq(at.chunk),
            made.upper.eq(at.odd),
            made.parameters.eq(self._parameters(at.tile, at.chunk)),
            made.frees.eq(Mux(at.end, at.tile.p.frees, 0)),
            made.mode.eq(at.tile.mode),
            made.output.eq(at.tile.output),
            made.ratio.eq(at.tile.ratio),
            made.count.eq(Mux(at.row_end, at.tile.columns, self._config.results - 1)),
            made.last.eq(at.end),
        ]
        return made

    def _parameters(self, tile: data.View, chunk: Value) -> Value:
        """The chunk's word of the parameter buffer."""
        ring = self._config.p_ring
        words = ring.lines * ring.factor
        address = (tile.p.line << (ring.factor.bit_length() - 1)) + chunk
        return Mux(address >= words, address - words, address)


def _next(address: Value, step: int, depth: int) -> Value:
    """An address of a ring of `depth` rows, `step` rows on."""
    return Mux(address >= depth - step, address + step - depth, address + step)
