"""From sums to the result stream: rows of tiles in chunks, their parts joined and requantized."""

from amaranth import Array as Choice
from amaranth import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.commands import PARAMETER_BYTES, PARAMETER_FIELDS, Output
from hw.collector import Column, count_width
from hw.config import BIAS_WIDTH, MULT_WIDTH, SHIFT_WIDTH, Config
from hw.joiner import Joiner
from hw.queue import Credits
from hw.reader import Reader, any_of
from hw.requantizer import Requantizer
from hw.ring import RingBuffer
from hw.target import place
from hw.tile import tile_layout


def result_layout(config: Config) -> data.StructLayout:
    """`count` + 1 results of one row, columns ascending, and whether they are the tile's last."""
    values = data.ArrayLayout(signed(config.result_width), config.results)
    return data.StructLayout({"y": values, "count": range(max(2, config.results)), "last": 1})


QUEUE = 32
"""Results that wait for the sink. Enough for those on their way, so that the pipeline needs no enable."""

_QUEUE_LATENCY = 2


def drain_latency(config: Config) -> int:
    """Cycles from a row's count in the collector to its first results on the stream."""
    return 1 + _summed(config) + Requantizer.latency + _QUEUE_LATENCY


def _summed(config: Config) -> int:
    """Cycles from a chunk's address to its sums: read, two to choose a PE, one a part of it; more to join parts."""
    return Column.latency + 3 + Joiner.latency * int(config.has_regions)


class Drain(wiring.Component):
    """Reads the rows of finished tiles and hands out what is wanted of them, `config.results` per cycle.

    Members: tile In(tile_layout) and started In(1) for every tile, in order, finished Out(1) when its sums are read;
    to the collector address Out, count In, data In; to the parameters' ring parameters Out, freed Out, word In;
    results Out(stream of result_layout).

    Rows ascend within a tile and columns within a row; rows and columns beyond those wanted do not appear. A chunk of
    results every cycle, while the sink takes them. Latency `drain_latency`.
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
        m.submodules.waiting = waiting = fifo.SyncFIFOBuffered(width=result_layout(config).size, depth=QUEUE)
        # A chunk is read when there is room for it at the end of the pipeline, which nothing then holds up.
        m.submodules.room = room = Credits(QUEUE)
        taken = Signal()
        m.d.sync += taken.eq(self.results.valid & self.results.ready)
        chunk = reader.chunk
        m.d.comb += [
            reader.tile.eq(self.tile),
            reader.started.eq(self.started),
            reader.drained.eq(self.count),
            reader.room.eq(room.any),
            room.taken.eq(reader.read),
            room.returned.eq(taken),
            self.finished.eq(reader.finished),
            self.address.eq(chunk.address),
        ]

        delay = _Delay(m)
        summed, pipeline = _summed(config), _summed(config) + Requantizer.latency
        # The parameters arrive a cycle before the sums.
        early = summed - 1 - RingBuffer.latency
        m.d.comb += [
            self.parameters.eq(delay(chunk.parameters, early, "parameters")),
            self.freed.eq(delay(Mux(reader.read, chunk.frees, 0), early, "freed", init=0)),
        ]
        output = delay(chunk.output, summed - 1, "output")
        raw, narrow = delay(output < Output.EIGHT, 1, "raw"), delay(output == Output.FOUR, 1, "narrow")

        result = data.View(result_layout(config), waiting.w_data)
        for lane, value in enumerate(self._sums(m, delay, chunk, platform)):
            requantizer = place(
                m, f"requantizer_{lane}", "requantizer", lambda: Requantizer(config), platform
            )
            scaling = delay(Mux(output == Output.SUM, 0, self._scaling(lane)), 1, f"scaling_{lane}")
            m.d.comb += [
                requantizer.sum.eq(value),
                requantizer.scaling.eq(scaling),
                requantizer.raw.eq(raw),
                requantizer.narrow.eq(narrow),
                result.y[lane].eq(requantizer.y),
            ]
        m.d.comb += [
            result.last.eq(delay(chunk.last, pipeline, "last")),
            result.count.eq(delay(chunk.count, pipeline, "count")),
            waiting.w_en.eq(delay(reader.read, pipeline, "valid", init=0)),
            self.results.valid.eq(waiting.r_rdy),
            self.results.payload.eq(waiting.r_data),
            waiting.r_en.eq(self.results.ready),
        ]
        return m

    def _scaling(self, lane: int) -> Value:
        """A column's parameters in the word read."""
        fields = self.word.word_select(lane, 8 * PARAMETER_BYTES)
        widths = {"bias": BIAS_WIDTH, "mult": MULT_WIDTH, "shift": SHIFT_WIDTH}
        starts = {name: start for name, (start, _) in PARAMETER_FIELDS.items()}
        return Cat(fields[starts[name] : starts[name] + width] for name, width in widths.items())

    def _sums(self, m: Module, delay: "_Delay", chunk: data.View, platform: object) -> list[Value]:
        """The sum of every lane: PEs are chosen, then parts of their sums, then what is kept apart is joined."""
        config = self._config
        results, modes = config.results, config.modes
        wide = any_of(chunk.mode, [each.w_lanes == 2 for each in modes])
        # As many PEs as results leave in a cycle: of two columns each, all of them take two cycles.
        per_window = results if config.w_lanes == 1 or results > 1 else 1
        padded = [self.data[c] for c in range(config.cols)]
        padded += [C(0, config.sum_width)] * (-config.cols % per_window)
        windows = [Cat(padded[first : first + per_window]) for first in range(0, len(padded), per_window)]
        read = Column.latency
        index = delay(Mux(wide, chunk.chunk >> 1, chunk.chunk), read, "index")
        window = delay(Choice(windows)[index], 1, "window")

        # A PE holds one result, or two columns' side by side in two lanes: all lanes' in half a window.
        wide, second = delay(wide, read + 1, "wide"), delay(chunk.chunk[0], read + 1, "second")
        pes = []
        for lane in range(results):
            pe: Value = window.word_select(lane, config.sum_width) if per_window > 1 else window
            if config.w_lanes == 2 and per_window > 1:
                halves = [
                    window.word_select((lane + half * results) // 2, config.sum_width) for half in (0, 1)
                ]
                pe = Mux(wide, Mux(second, halves[1], halves[0]), pe)
            pes.append(delay(pe, 1, f"pe_{lane}"))

        mode = delay(chunk.mode, read + 1, "mode")
        quad = delay(any_of(mode, [each.products == 4 for each in modes]), 1, "quad")
        pair = delay(any_of(mode, [each.products == 2 for each in modes]), 1, "pair")
        upper, second = delay(chunk.upper, read + 2, "upper"), delay(second, 1, "second_pe")
        values = []
        for lane, pe in enumerate(pes):
            column: Value = second if results == 1 else C(lane % 2, 1)
            halves, lanes = self._split(pe)
            low: Value = halves[0]
            if config.has_pair:
                low = Mux(pair, Mux(column, halves[1], halves[0]), low)
            if config.has_quad:
                low = Mux(
                    quad, Mux(column, Mux(upper, lanes[3], lanes[2]), Mux(upper, lanes[1], lanes[0])), low
                )
            values.append((delay(low, 1, f"low_{lane}"), halves[-1]))
        if not config.has_regions:
            return [low for low, _ in values]

        # A sum of one part has nothing above it.
        regions = any_of(mode, [len(each.partial_bounds) == 2 for each in modes])
        ratio = delay(Mux(regions, delay(chunk.ratio, read + 1, "ratio"), 0), 2, "ratio_masked")
        joined = []
        for lane, (low, half) in enumerate(values):
            joiner = place(m, f"joiner_{lane}", "joiner", lambda: Joiner(config), platform)
            m.d.comb += [
                joiner.low.eq(low),
                joiner.high.eq(delay(half, 1, f"high_{lane}")),
                joiner.ratio.eq(ratio),
            ]
            joined.append(joiner.y)
        return joined

    def _split(self, pe: Value) -> tuple[list[Value], list[Value]]:
        """A PE's sums as halves, and as lanes of halves."""
        halves: list[Value] = []
        lanes: list[Value] = []
        offset = 0
        for widths in self._config.lanes:
            half = pe[offset : offset + sum(widths)]
            halves.append(half.as_signed())
            start = 0
            for width in widths:
                lanes.append(half[start : start + width].as_signed())
                start += width
            offset += sum(widths)
        return halves, lanes


class _Delay:
    """Registers one behind the other; those with `init` are set to it at a reset."""

    def __init__(self, m: Module):
        self._m = m

    def __call__(self, value: Value, cycles: int, name: str, init: int | None = None) -> Value:
        value = Value.cast(value)
        for stage in range(cycles):
            register = Signal(value.shape(), name=f"{name}_{stage}", init=init or 0, reset_less=init is None)
            self._m.d.sync += register.eq(value)
            value = register
        return value
