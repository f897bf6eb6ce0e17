"""The reader: goes through the sums of one tile after another, chunk by chunk, as they drain."""

from amaranth import Array as Choice
from amaranth import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import RATIO_WIDTH, Config
from hw.gateware.core.tile import tile_layout
from hw.gateware.lib.queue import Credits, Queue
from hw.gateware.output.collector import count_width

OFFERS = 4
"""Chunks made before they can be taken: as many as the cycles from one to its place being free again."""


def chunk_layout(config: Config, slots: int) -> data.StructLayout:
    """`results` columns of a row, to be read.

    Where its sums are in the collector (`address`, `chunk`, the upper or lower of two rows in a
    PE), where its parameters (`parameters`) and which lines of theirs are done with it (`frees`),
    what to do with the sums, and `count` + 1 results of it wanted, the `last` of the tile.
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
    """Whether the mode is one of those flagged."""
    return (
        Cat(mode == index for index, flag in enumerate(flags) if flag).any() if any(flags) else C(0)
    )


class Reader(wiring.Component):
    """Offers the chunks of tiles, rows ascending within a tile and columns within a row, each when it has drained.

    Members: tile In(tile_layout) and started In(1) for every tile, in order; drained
    In(count_width), the collector's count; room In(1) when a chunk can be taken, taken Out(1) when
    it is; chunk Out(chunk_layout) and read Out(1) two cycles later; finished Out(1) the cycle after
    a tile's last.

    A chunk every cycle. All that decides about a chunk stands in registers: up to OFFERS of them
    are made while the first one waits, and rows are compared with the count a cycle before.
    """

    def __init__(self, config: Config, slots: int):
        self._config = config
        self._slots = slots
        self._layout = chunk_layout(config, slots)
        super().__init__(
            {
                "tile": In(tile_layout(config)),
                "started": In(1),
                "drained": In(count_width(config, slots)),
                "room": In(1),
                "chunk": Out(self._layout),
                "taken": Out(1),
                "read": Out(1),
                "finished": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, depth = self._config, self._config.rows * self._slots
        m = Module()
        m.submodules.queue = queue = Queue(shape=tile_layout(config), depth=self._slots + 1)
        tile, running = Signal(tile_layout(config), reset_less=True), Signal()
        chunk, odd = Signal.like(tile.chunks), Signal()
        # Of the tile's first row and of the current one: place in the collector, and count when it
        # has drained.
        first, address = Signal(range(depth)), Signal(range(depth))
        base, needs = Signal.like(self.drained), Signal.like(self.drained, init=1)

        # Chunks of the row and rows of the tile behind the current ones, and whether there are
        # none.
        chunks, rows = Signal.like(tile.chunks), Signal.like(tile.rows)
        row_end, last_row, narrow = Signal(), Signal(), Signal()
        # Chunks are offered in turn. One is made where a place is known to be empty: a register
        # says that, and what happens to the chunks before it does not matter. Those of rows that
        # have drained can be taken.
        m.submodules.places = places = Credits(count=OFFERS)
        offered, ready = Signal(OFFERS), Signal(OFFERS)
        filling, leaving = Signal(range(OFFERS)), Signal(range(OFFERS))
        step, end, turn = Signal(), Signal(), Signal()
        head = queue.head.payload
        pairs = any_of(tile.mode, [mode.x_lanes == 2 for mode in config.modes])
        m.d.comb += [
            queue.items.payload.eq(self.tile),
            queue.items.valid.eq(self.started),
            self.taken.eq(ready.bit_select(leaving, 1) & self.room),
            step.eq(running & places.any),
            places.taken.eq(step),
            end.eq(row_end & last_row),
            turn.eq((step & end) | ~running),
            queue.head.ready.eq(turn),
        ]
        with m.If(turn):
            m.d.sync += [
                tile.eq(head),
                running.eq(queue.head.valid),
                chunks.eq(head.chunks),
                rows.eq(head.rows),
                row_end.eq(head.chunks == 0),
                narrow.eq(head.chunks == 0),
                last_row.eq(head.rows == 0),
            ]
        with m.Elif(step):
            m.d.sync += [
                chunks.eq(Mux(row_end, tile.chunks, chunks - 1)),
                row_end.eq(Mux(row_end, narrow, chunks == 1)),
            ]
            with m.If(row_end):
                m.d.sync += [rows.eq(rows - 1), last_row.eq(rows == 1)]
        with m.If(step):
            m.d.sync += [
                chunk.eq(Mux(row_end, 0, chunk + 1)),
                odd.eq(~end & (odd ^ row_end)),
            ]
            with m.If(end):
                following = _next(first, config.rows, depth)
                m.d.sync += [
                    first.eq(following),
                    address.eq(following),
                    base.eq(base + config.rows),
                    needs.eq(base + config.rows + 1),
                ]
            with m.Elif(row_end & (~pairs | odd)):
                m.d.sync += [address.eq(_next(address, 1, depth)), needs.eq(needs + 1)]
        for index in range(OFFERS):
            awaited = Signal.like(needs, name=f"awaited_{index}", reset_less=True)
            goes = self.taken & (leaving == index)
            with m.If(~offered[index]):
                m.d.sync += awaited.eq(needs)
            m.d.sync += [
                offered[index].eq(Mux(offered[index], ~goes, step & (filling == index))),
                ready[index].eq(offered[index] & ~goes & ~(self.drained - awaited)[len(needs) - 1]),
            ]
        m.d.sync += [filling.eq(filling + step), leaving.eq(leaving + self.taken)]

        # What is told of a chunk follows a cycle behind: many registers, which wait for a flip-flop
        # alone.
        made = Signal(self._layout, reset_less=True)
        offers = [
            Signal(self._layout, name=f"offer_{index}", reset_less=True) for index in range(OFFERS)
        ]
        filled, left, went = Signal(OFFERS), Signal.like(leaving), Signal()
        chosen = Signal(self._layout, name="chosen", reset_less=True)
        m.d.comb += [places.returned.eq(went), self.chunk.eq(chosen)]
        m.d.sync += [
            made.address.eq(address),
            made.chunk.eq(chunk),
            made.upper.eq(odd),
            made.parameters.eq(self._parameters(tile, chunk)),
            made.frees.eq(Mux(end, tile.p.frees, 0)),
            made.mode.eq(tile.mode),
            made.output.eq(tile.output),
            made.ratio.eq(tile.ratio),
            made.count.eq(Mux(row_end, tile.columns, config.results - 1)),
            made.last.eq(end),
            filled.eq(Cat(step & (filling == index) for index in range(OFFERS))),
            left.eq(leaving),
            went.eq(self.taken),
            self.read.eq(went),
            chosen.eq(Choice(offers)[left]),
            self.finished.eq(self.read & self.chunk.last),
        ]
        for index, offer in enumerate(offers):
            with m.If(filled[index]):
                m.d.sync += offer.eq(made)
        return m

    def _parameters(self, tile: data.View, chunk: Value) -> Value:
        """Word of the parameters' ring for a chunk."""
        ring = self._config.p_ring
        words = ring.lines * ring.factor
        address = (tile.p.line << (ring.factor.bit_length() - 1)) + chunk
        return Mux(address >= words, address - words, address)


def _next(address: Value, step: int, depth: int) -> Value:
    """An address so many steps on, around the end."""
    return Mux(address >= depth - step, address + step - depth, address + step)
