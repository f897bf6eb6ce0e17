"""From sums to the result stream: rows of tiles in chunks, a lane for each result of a chunk."""

from typing import Any

from amaranth import Cat, Module, Mux, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec.commands import PARAMETER_BYTES, PARAMETER_FIELDS, Output
from hw.config import BIAS_WIDTH, MULT_WIDTH, SHIFT_WIDTH, Config
from hw.gateware.core.ring import RingBuffer
from hw.gateware.core.tile import tile_layout
from hw.gateware.lib.delay import Delay
from hw.gateware.lib.queue import Buffer, Credits
from hw.gateware.output.collector import count_width
from hw.gateware.output.lane import (
    ResultLane,
    control_layout,
    control_times,
    lane_latency,
    queue_depth,
    summed,
)
from hw.gateware.output.reader import Reader, any_of
from hw.target import place


def result_layout(config: Config) -> data.StructLayout:
    """`count` + 1 results of one row, columns ascending, and whether they are the tile's last."""
    values = data.ArrayLayout(signed(config.result_width), config.results)
    return data.StructLayout({"y": values, "count": range(max(2, config.results)), "last": 1})


def drain_latency(config: Config) -> int:
    """Cycles from a row's count in the collector to its first results on the stream."""
    return 3 + lane_latency(config) + Buffer.latency


class Drain(wiring.Component):
    """Reads the rows of finished tiles and hands out what is wanted of them, `config.results` per cycle.

    Members: tile In(tile_layout) and started In(1) for every tile, in order, finished Out(1) when
    its sums are read; to the collector address Out, count In, data In; to the parameters' ring
    parameters Out, freed Out, word In; results Out(stream of result_layout).

    Rows ascend within a tile and columns within a row; rows and columns beyond those wanted do not
    appear. A chunk of results every cycle, while the sink takes them. Latency `drain_latency`.
    """

    def __init__(self, config: Config, slots: int):
        self._config = config
        self._slots = slots
        ring = config.p_ring
        super().__init__(
            {
                "tile": In(tile_layout(config)),
                "started": In(1),
                "finished": Out(1),
                "address": Out(range(config.rows * slots)),
                "count": In(count_width(config, slots)),
                "data": In(data.ArrayLayout(config.sum_width, config.cols)),
                "parameters": Out(range(ring.lines * ring.factor)),
                "freed": Out(range(ring.lines + 1)),
                "word": In(8 * ring.word),
                "results": Out(stream.Signature(result_layout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self._config
        m = Module()
        m.submodules.reader = reader = Reader(config, self._slots)
        # A chunk is read when there is room for it at the end of the pipeline, which nothing then
        # holds up.
        m.submodules.room = room = Credits(count=queue_depth(config))
        delay = Delay(m)
        chunk, taken = reader.chunk, self.results.valid & self.results.ready
        m.d.comb += [
            reader.tile.eq(self.tile),
            reader.started.eq(self.started),
            reader.drained.eq(self.count),
            reader.room.eq(room.any),
            room.taken.eq(reader.taken),
            room.returned.eq(delay(taken, 1, "taken", init=0)),
            self.finished.eq(reader.finished),
            self.address.eq(chunk.address),
        ]
        # The parameters arrive a cycle before the sums.
        early = summed(config) - 1 - RingBuffer.latency
        m.d.comb += [
            self.parameters.eq(delay(chunk.parameters, early, "parameters")),
            self.freed.eq(delay(Mux(reader.read, chunk.frees, 0), early, "freed", init=0)),
        ]
        # What comes with the results goes the same way.
        about, depth = Cat(chunk.count, chunk.last), lane_latency(config)
        put = delay(reader.read, depth - 2, "put", init=0)
        m.submodules.waiting = waiting = Buffer(shape=len(about), depth=queue_depth(config))
        for index, lane in enumerate(self._lanes(m, delay, chunk, platform)):
            m.d.comb += [
                lane.put.eq(put),
                lane.take.eq(self.results.ready),
                self.results.payload.y[index].eq(lane.y),
            ]
        m.d.comb += [
            waiting.item.eq(delay(about, depth, "about")),
            waiting.put.eq(delay(put, 1, "last_put", init=0)),
            waiting.take.eq(self.results.ready),
            self.results.valid.eq(waiting.valid),
            Cat(self.results.payload.count, self.results.payload.last).eq(waiting.head),
        ]
        return m

    def _lanes(self, m: Module, delay: Delay, chunk: data.View, platform: object) -> list[Any]:
        """The lanes, with all that they look at but when to put and take."""
        config = self._config
        control = self._control(delay, chunk)
        lanes = []
        for number in range(config.results):
            columns = [self.data[column] for column in range(number, config.cols, config.results)]
            lane = self._placed(m, number, len(columns), platform)
            m.d.comb += [
                *(lane.columns[index].eq(column) for index, column in enumerate(columns)),
                lane.control.eq(control),
                lane.scaling.eq(self._scaling(number)),
            ]
            lanes.append(lane)
        for number, lane in enumerate(lanes):
            m.d.comb += [
                lane.pes[half].eq(lanes[(number + half * config.results) // 2].pe)
                for half in (0, 1)
            ]
        return lanes

    def _placed(self, m: Module, number: int, columns: int, platform: object) -> Any:
        odd = bool(number % 2)
        name = f"lane_of_{columns}_{'odd' if odd else 'even'}"
        return place(
            m, f"lane_{number}", name, lambda: ResultLane(self._config, columns, odd), platform
        )

    def _control(self, delay: Delay, chunk: data.View) -> Value:
        """What the lanes are told of a chunk."""
        config = self._config

        def is_a(flags: list[bool]) -> Value:
            return any_of(chunk.mode, flags)

        wide = is_a([mode.w_lanes == 2 for mode in config.modes])
        regions = is_a([len(mode.partial_bounds) == 2 for mode in config.modes])
        fields = {
            "index": Mux(wide, chunk.chunk >> 1, chunk.chunk),
            "wide": wide,
            "second": chunk.chunk[0],
            "quad": is_a([mode.products == 4 for mode in config.modes]),
            "pair": is_a([mode.products == 2 for mode in config.modes]),
            "upper": chunk.upper,
            # A sum of one part has nothing above it.
            "ratio": Mux(regions, chunk.ratio, 0),
            "bare": chunk.output == Output.SUM,
            "raw": chunk.output < Output.EIGHT,
            "narrow": chunk.output == Output.FOUR,
        }
        layout, times = control_layout(config), control_times(config)
        return Cat(delay(fields[name][: field.width], times[name], name) for name, field in layout)

    def _scaling(self, lane: int) -> Value:
        """A column's parameters in the word read."""
        fields = self.word.word_select(lane, 8 * PARAMETER_BYTES)
        widths = {"bias": BIAS_WIDTH, "mult": MULT_WIDTH, "shift": SHIFT_WIDTH}
        starts = {name: start for name, (start, _) in PARAMETER_FIELDS.items()}
        return Cat(fields[starts[name] : starts[name] + width] for name, width in widths.items())
