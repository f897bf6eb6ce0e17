"""The core: streams around the array. Tiles in, requantized or raw results out."""

from amaranth import Array as Choice
from amaranth import C, Module, Mux, Signal, Value, signed
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.modes import Mode
from hw.array import Array, array_latency
from hw.collector import Collector
from hw.config import RATIO_WIDTH, Config
from hw.requantizer import SCALING_LAYOUT, Requantizer
from hw.target import place


def epilogue_layout(config: Config) -> data.StructLayout:
    """What happens to the sums of a tile: `raw`, or requantized to 8 or (`narrow`) 4 bits; per output column."""
    return data.StructLayout(
        {
            "scaling": data.ArrayLayout(data.ArrayLayout(SCALING_LAYOUT, config.w_lanes), config.cols),
            "ratio": RATIO_WIDTH,
            "raw": 1,
            "narrow": 1,
        }
    )


def result_layout(config: Config) -> data.StructLayout:
    """One array row of results, y[column][w lane][x lane], and whether it is the tile's last."""
    values = data.ArrayLayout(signed(config.result_width), config.x_lanes)
    for count in (config.w_lanes, config.cols):
        values = data.ArrayLayout(values, count)
    return data.StructLayout({"y": values, "last": 1})


def core_latency(config: Config) -> int:
    """Cycles from a `last` beat accepted to the first row of its results, with nothing in the way."""
    return 1 + array_latency(config) + config.cols + 2 + Requantizer.latency


class Core(wiring.Component):
    """Computes one tile after another; a tile is `rows` x `cols` PEs' sums over any number of beats.

    Members:
      operands In(stream of beat_layout)       one k per beat, `last` ends a tile
      epilogues In(stream of epilogue_layout)  one beat per tile, in order, any time before its results are due
      results Out(stream of result_layout)     `rows` beats per tile, in order

    Throughput: a beat per cycle, so max(K, interval) cycles per tile, as long as results are taken. No clock
    enable enters the array: when the sink stalls, the `last` beat of a tile waits until the collector has room
    for its results, and nothing is lost or repeated. `ready` and `valid` of every stream depend on registers alone.

    Latency from a `last` beat accepted to its first result: `core_latency` cycles.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "operands": In(stream.Signature(config.beat_layout)),
                "epilogues": In(stream.Signature(epilogue_layout(config))),
                "results": Out(stream.Signature(result_layout(config))),
            }
        )

    @property
    def slots(self) -> int:
        """Tiles whose results the collector holds: enough to launch without a pause until the first are out."""
        occupied = core_latency(self.config) + 2 * self.config.rows
        return occupied // self.config.interval + 1

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        m.submodules.array = array = Array(config)
        m.submodules.collector = collector = Collector(config, config.rows * self.slots)
        m.submodules.modes = modes = fifo.SyncFIFOBuffered(width=config.mode_width, depth=self.slots + 1)
        m.d.comb += [collector.sums.eq(array.sums), collector.drained.eq(array.drained)]

        finished = Signal()
        self._launch(m, array, modes, finished)
        self._finish(m, collector, modes, finished, platform)
        return m

    def _launch(self, m: Module, array: Array, modes: fifo.SyncFIFOBuffered, finished: Signal) -> None:
        """Hold one beat, and hand it to the array unless it ends a tile that has to wait."""
        config = self.config
        beat = Signal(config.beat_layout)
        held = Signal()
        free = Signal(range(self.slots + 1), init=self.slots)
        spacing = Signal(range(config.interval))
        launched, ended = Signal(), Signal()
        m.d.comb += [
            launched.eq(held & (~beat.last | (free.any() & ~spacing.any()))),
            ended.eq(launched & beat.last),
            self.operands.ready.eq(~held | launched),
            array.beat.eq(beat),
            array.valid.eq(launched),
            modes.w_data.eq(beat.mode),
            modes.w_en.eq(ended),
        ]
        m.d.sync += free.eq(free - ended + finished)
        with m.If(self.operands.ready):
            m.d.sync += [held.eq(self.operands.valid), beat.eq(self.operands.payload)]
        with m.If(ended):
            m.d.sync += spacing.eq(config.interval - 1)
        with m.Elif(spacing.any()):
            m.d.sync += spacing.eq(spacing - 1)

    def _finish(
        self,
        m: Module,
        collector: Collector,
        modes: fifo.SyncFIFOBuffered,
        finished: Signal,
        platform: object,
    ) -> None:
        """Read whole rows, join the parts of their sums, and scale them."""
        config = self.config
        layout = epilogue_layout(config)
        m.submodules.epilogues = queue = fifo.SyncFIFOBuffered(width=layout.size, depth=4)
        m.d.comb += [
            queue.w_data.eq(self.epilogues.payload),
            queue.w_en.eq(self.epilogues.valid),
            self.epilogues.ready.eq(queue.w_rdy),
        ]
        advance, read, last = Signal(), Signal(), Signal()
        row = Signal(range(config.rows))
        m.d.comb += [
            advance.eq(~self.results.valid | self.results.ready),
            read.eq(advance & collector.stored.any() & modes.r_rdy & queue.r_rdy),
            last.eq(row == config.rows - 1),
            finished.eq(read & last),
            collector.read.eq(read),
            modes.r_en.eq(finished),
            queue.r_en.eq(finished),
        ]
        with m.If(read):
            m.d.sync += row.eq(Mux(last, 0, row + 1))

        epilogue, joined_epilogue = Signal(layout), Signal(layout)
        mode = Signal(config.mode_width)
        with m.If(advance):
            m.d.sync += [epilogue.eq(queue.r_data), joined_epilogue.eq(epilogue), mode.eq(modes.r_data)]
        self._delay(m, advance, read, last)
        for c in range(config.cols):
            values = self._outputs(collector.row[c], mode, epilogue.ratio)
            for w_lane in range(config.w_lanes):
                for x_lane in range(config.x_lanes):
                    value = Signal(signed(config.output_width), name=f"sum_{c}_{w_lane}_{x_lane}")
                    with m.If(advance):
                        m.d.sync += value.eq(values[w_lane * config.x_lanes + x_lane])
                    requantizer = place(
                        m,
                        f"requantizer_{c}_{w_lane}_{x_lane}",
                        "requantizer",
                        lambda: Requantizer(config),
                        platform,
                    )
                    m.d.comb += [
                        requantizer.enable.eq(advance),
                        requantizer.sum.eq(value),
                        requantizer.scaling.eq(joined_epilogue.scaling[c][w_lane]),
                        requantizer.raw.eq(joined_epilogue.raw),
                        requantizer.narrow.eq(joined_epilogue.narrow),
                        self.results.payload.y[c][w_lane][x_lane].eq(requantizer.y),
                    ]

    def _delay(self, m: Module, advance: Signal, valid: Value, last: Value) -> None:
        """Carry `valid` and `last` beside the data: one stage to read, one to join, then the requantizer's."""
        for stage in range(2 + Requantizer.latency):
            next_valid, next_last = Signal(name=f"valid_{stage}"), Signal(name=f"last_{stage}")
            with m.If(advance):
                m.d.sync += [next_valid.eq(valid), next_last.eq(last)]
            valid, last = next_valid, next_last
        m.d.comb += [self.results.valid.eq(valid), self.results.payload.last.eq(last)]

    def _outputs(self, sums: Value, mode: Value, ratio: Value) -> list[Value]:
        """The sums of one PE as outputs, [w lane * x_lanes + x lane]; lanes that the mode leaves empty are 0."""
        config = self.config
        per_mode = [
            _padded(self._split(sums, candidate, ratio), candidate, config) for candidate in config.modes
        ]
        return [Choice(values)[mode] for values in zip(*per_mode, strict=True)]

    def _split(self, sums: Value, mode: Mode, ratio: Value) -> list[Value]:
        config = self.config
        halves, lanes, offset = [], [], 0
        for widths in config.lanes:
            half = sums[offset:][: sum(widths)]
            halves.append(half.as_signed())
            for lane, width in enumerate(widths):
                lanes.append(half[sum(widths[:lane]) :][:width].as_signed())
            offset += sum(widths)
        if mode.products == 4:
            return lanes
        if mode.products == 2:
            return halves
        if len(mode.partial_bounds) == 2:
            return [halves[0] + halves[1] * ratio]
        return [halves[0]]


def _padded(values: list[Value], mode: Mode, config: Config) -> list[Value]:
    """Values of a mode's lanes, [w lane * mode.x_lanes + x lane], at their places among the build's lanes."""
    return [
        values[w_lane * mode.x_lanes + x_lane] if w_lane < mode.w_lanes and x_lane < mode.x_lanes else C(0, 1)
        for w_lane in range(config.w_lanes)
        for x_lane in range(config.x_lanes)
    ]
