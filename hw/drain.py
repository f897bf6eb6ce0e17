"""From sums to the result stream: rows of tiles in chunks, their parts joined and requantized."""

from amaranth import Array as Choice
from amaranth import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, fifo, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.commands import PARAMETER_BYTES, PARAMETER_FIELDS, Output
from golden.modes import Mode
from hw.config import BIAS_WIDTH, MULT_WIDTH, SHIFT_WIDTH, Config
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
    """Cycles from a row's read to its first results on the stream."""
    return _pipeline(config) + _QUEUE_LATENCY


def _pipeline(config: Config) -> int:
    return 3 + 2 * int(config.has_regions) + Requantizer.latency


class Drain(wiring.Component):
    """Reads the rows of finished tiles and hands out what is wanted of them, `config.results` per cycle.

    Members: tile In(tile_layout) and started In(1) for every tile, in order; to the collector read, row, finished
    Out, whole In, data In; to the parameters' ring address, freed Out, word In; results Out(stream of
    result_layout).

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
                "read": Out(1),
                "row": Out(range(config.rows)),
                "whole": In(1),
                "finished": Out(1),
                "data": In(data.ArrayLayout(config.sum_width, config.cols)),
                "address": Out(range(ring.lines * ring.factor)),
                "freed": Out(range(ring.lines + 1)),
                "word": In(8 * ring.word),
                "results": Out(stream.Signature(result_layout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config, layout = self._config, tile_layout(self._config)
        m = Module()
        m.submodules.queue = queue = fifo.SyncFIFOBuffered(width=layout.size, depth=self._slots + 1)
        m.d.comb += [queue.w_data.eq(self.tile), queue.w_en.eq(self.started)]
        tile = data.View(layout, queue.r_data)

        m.submodules.waiting = waiting = fifo.SyncFIFOBuffered(width=result_layout(config).size, depth=QUEUE)
        # A chunk is read when there is room for it at the end of the pipeline, which nothing then holds up.
        room = Signal(range(QUEUE + 1), init=QUEUE)
        read = Signal()
        m.d.sync += room.eq(room - read + (self.results.valid & self.results.ready))
        m_index, chunk = Signal.like(tile.rows), Signal.like(tile.chunks)
        row_end, end = Signal(), Signal()
        pairs = self._any(tile.mode, [mode.x_lanes == 2 for mode in config.modes])
        m.d.comb += [
            row_end.eq(chunk == tile.chunks),
            end.eq(row_end & (m_index == tile.rows)),
            self.row.eq(Mux(pairs, m_index >> 1, m_index)),
            read.eq((room != 0) & queue.r_rdy & self.whole),
            self.read.eq(read),
            self.finished.eq(read & end),
            queue.r_en.eq(self.finished),
        ]
        with m.If(read):
            m.d.sync += [
                chunk.eq(Mux(row_end, 0, chunk + 1)),
                m_index.eq(Mux(end, 0, m_index + row_end)),
            ]

        delay = _Delay(m)
        valid = delay(read, _pipeline(config), "valid", init=0)
        last = delay(end, _pipeline(config), "last")
        full = config.results - 1
        count = delay(Mux(row_end, tile.columns, full), _pipeline(config), "count")
        summed = _pipeline(config) - Requantizer.latency
        output = delay(tile.output, summed, "output")

        # The parameters arrive with the sums.
        word = delay(self._parameter(tile, chunk), summed - RingBuffer.latency, "parameters")
        freed = delay(Mux(self.finished, tile.p.frees, 0), summed - RingBuffer.latency, "freed")
        m.d.comb += [self.address.eq(word), self.freed.eq(freed)]

        result = data.View(result_layout(config), waiting.w_data)
        sums = self._sums(m, delay, tile, chunk, m_index)
        for lane, value in enumerate(sums):
            requantizer = place(
                m, f"requantizer_{lane}", "requantizer", lambda: Requantizer(config), platform
            )
            scaling = self._scaling(lane)
            m.d.comb += [
                requantizer.sum.eq(value),
                requantizer.scaling.eq(Mux(output == Output.SUM, 0, scaling)),
                requantizer.raw.eq(output < Output.EIGHT),
                requantizer.narrow.eq(output == Output.FOUR),
                result.y[lane].eq(requantizer.y),
            ]
        m.d.comb += [
            result.last.eq(last),
            result.count.eq(count),
            waiting.w_en.eq(valid),
            self.results.valid.eq(waiting.r_rdy),
            self.results.payload.eq(waiting.r_data),
            waiting.r_en.eq(self.results.ready),
        ]
        return m

    def _any(self, mode: Value, flags: list[bool]) -> Value:
        """Whether the mode is one of those flagged."""
        return Cat(mode == index for index, flag in enumerate(flags) if flag).any() if any(flags) else C(0)

    def _parameter(self, tile: data.View, chunk: Value) -> Value:
        """Word of the parameters' ring for a chunk."""
        ring = self._config.p_ring
        words = ring.lines * ring.factor
        address = (tile.p.line << (ring.factor.bit_length() - 1)) + chunk
        return Mux(address >= words, address - words, address)[: len(self.address)]

    def _scaling(self, lane: int) -> Value:
        """A column's parameters in the word read."""
        fields = self.word.word_select(lane, 8 * PARAMETER_BYTES)
        widths = {"bias": BIAS_WIDTH, "mult": MULT_WIDTH, "shift": SHIFT_WIDTH}
        starts = {name: start for name, (start, _) in PARAMETER_FIELDS.items()}
        return Cat(fields[starts[name] : starts[name] + width] for name, width in widths.items())

    def _sums(self, m: Module, delay: "_Delay", tile: data.View, chunk: Value, m_index: Value) -> list[Value]:
        """The sum of every lane: PEs are chosen, then parts of their sums, then what is kept apart is joined."""
        config = self._config
        results, modes = config.results, config.modes
        mode, part, upper = (
            delay(tile.mode, 1, "mode"),
            delay(chunk, 1, "chunk"),
            delay(m_index[0], 2, "upper"),
        )
        wide = self._any(mode, [each.w_lanes == 2 for each in modes])
        # As many PEs as results leave in a cycle: of two columns each, all of them take two cycles.
        per_window = results if config.w_lanes == 1 or results > 1 else 1
        padded = [self.data[c] for c in range(config.cols)]
        padded += [C(0, config.sum_width)] * (-config.cols % per_window)
        windows = [Cat(padded[first : first + per_window]) for first in range(0, len(padded), per_window)]
        window = delay(Choice(windows)[Mux(wide, part >> 1, part)], 1, "window", reset_less=True)
        second, mode = delay(part[0], 1, "second"), delay(mode, 1, "mode_2")

        values = []
        for lane in range(results):
            choices = []
            for each in modes:
                if each.w_lanes == 1:
                    pe, w_lane = window.word_select(lane, config.sum_width), C(0, 1)
                elif results == 1:
                    pe, w_lane = window, second
                else:
                    pes = [
                        window.word_select((lane + half * results) // 2, config.sum_width) for half in (0, 1)
                    ]
                    pe, w_lane = Mux(second, pes[1], pes[0]), C(lane % 2, 1)
                choices.append(self._split(pe, each, w_lane, upper))
            chosen = [Choice(parts)[mode] for parts in zip(*choices, strict=True)]
            values.append([delay(value, 1, f"part_{lane}", reset_less=True) for value in chosen])
        if not config.has_regions:
            return [low for low, _ in values]
        ratio = delay(tile.ratio, 3, "ratio")
        single = [len(each.partial_bounds) == 1 for each in modes]
        ratio = Mux(self._any(delay(mode, 1, "mode_3"), single), 0, ratio)
        joined = []
        for lane, (low, high) in enumerate(values):
            # Shift and add: the multipliers are for the requantizers.
            terms = [Mux(ratio[bit], high << bit, 0) for bit in range(len(ratio))]
            pairs = [
                delay(a + b, 1, f"scaled_{lane}", reset_less=True)
                for a, b in zip(terms[::2], terms[1::2], strict=True)
            ]
            low = delay(low, 1, f"low_{lane}", reset_less=True)
            total = (low + pairs[0] + pairs[1] + pairs[2])[: config.output_width].as_signed()
            joined.append(delay(total, 1, f"joined_{lane}", reset_less=True))
        return joined

    def _split(self, pe: Value, mode: Mode, w_lane: Value, x_lane: Value) -> tuple[Value, Value]:
        """Of a PE's sums the one for these lanes, and the second part of a piece-wise one."""
        config = self._config
        halves: list[Value] = []
        lanes: list[Value] = []
        offset = 0
        for widths in config.lanes:
            half = pe[offset : offset + sum(widths)]
            halves.append(half.as_signed())
            start = 0
            for width in widths:
                lanes.append(half[start : start + width].as_signed())
                start += width
            offset += sum(widths)
        nothing = C(0, signed(1))
        if mode.products == 4:
            return Mux(w_lane, Mux(x_lane, lanes[3], lanes[2]), Mux(x_lane, lanes[1], lanes[0])), nothing
        if mode.products == 2:
            return Mux(w_lane, halves[1], halves[0]), nothing
        if len(mode.partial_bounds) == 2:
            return halves[0], halves[1]
        return halves[0], nothing


class _Delay:
    """Registers one behind the other."""

    def __init__(self, m: Module):
        self._m = m

    def __call__(
        self, value: Value, cycles: int, name: str, init: int = 0, reset_less: bool = False
    ) -> Value:
        value = Value.cast(value)
        for stage in range(cycles):
            register = Signal(value.shape(), name=f"{name}_{stage}", init=init, reset_less=reset_less)
            self._m.d.sync += register.eq(value)
            value = register
        return value
