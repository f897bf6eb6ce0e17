"""The drain: reads sums in chunks, and computes each result of a chunk in a lane of its own."""

from functools import partial
from typing import Any

from amaranth import Cat, Module, Mux, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec.commands import PARAMETER_BYTES, PARAMETER_FIELDS, Output
from hw.config import BIAS_WIDTH, MULT_WIDTH, SHIFT_WIDTH, Config
from hw.gateware.core.operand_buffer import OperandBuffer, ReadPort
from hw.gateware.core.tile import Handoff
from hw.gateware.lib.delay import Delay
from hw.gateware.lib.queue import Buffer, Credits
from hw.gateware.output.collector import SumsPort
from hw.gateware.output.lane import (
    ResultLane,
    control_layout,
    control_times,
    lane_latency,
    queue_depth,
    sum_latency,
)
from hw.gateware.output.reader import Reader, any_of
from hw.target import place

__all__ = ["Drain", "drain_latency", "result_layout"]


def result_layout(config: Config) -> data.StructLayout:
    """Results of one row: `y[0]` to `y[count]`, columns ascending; `last` marks the tile's last."""
    values = data.ArrayLayout(signed(config.result_width), config.results)
    return data.StructLayout({"y": values, "count": range(max(2, config.results)), "last": 1})


def drain_latency(config: Config) -> int:
    """Cycles from a row's count in the collector to its first results on the stream."""
    return 3 + lane_latency(config) + Buffer.latency


class Drain(wiring.Component):
    """Reads the rows of finished tiles and sends their results, `config.results` of them a cycle.

    Parameters:
      config   the build
      slots    tiles that the collector holds, >= 1 (keyword-only)

    Members:
      handoff In(Handoff)                   tiles; `finished` follows when all sums are read
      sums Out(SumsPort)                    read port of the collector
      read_p Out(ReadPort)                  read port of the parameter buffer
      results Out(stream of result_layout)  results

    Raises ValueError for `slots` below 1.

    Rows ascend within a tile and columns within a row. Rows and columns beyond those of the tile
    are not sent. Latency: `drain_latency`. Throughput: one chunk of results a cycle.
    """

    def __init__(self, config: Config, *, slots: int):
        if slots < 1:
            raise ValueError(f"slots: expected an integer >= 1, got {slots!r}")
        self._config = config
        self._slots = slots
        super().__init__(
            {
                "handoff": In(Handoff(config)),
                "sums": Out(SumsPort(config, slots=slots)),
                "read_p": Out(ReadPort(config.p_ring)),
                "results": Out(stream.Signature(result_layout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self._config
        m = Module()
        m.submodules.reader = reader = Reader(config, slots=self._slots)
        # A chunk is read only when there is a free slot at the end of the pipeline, so the pipeline
        # never stalls.
        m.submodules.room = room = Credits(count=queue_depth(config))
        delay = Delay(m)
        chunk, taken = reader.chunk, self.results.valid & self.results.ready
        wiring.connect(m, wiring.flipped(self.handoff), reader.handoff)
        m.d.comb += [
            reader.drained.eq(self.sums.count),
            reader.room.eq(room.any),
            room.taken.eq(reader.taken),
            room.returned.eq(delay(taken, 1, "taken", init=0)),
            self.sums.address.eq(chunk.address),
        ]
        # The parameters arrive one cycle before the sums.
        early = sum_latency(config) - 1 - OperandBuffer.latency
        frees = Mux(reader.read, chunk.frees, 0)
        m.d.comb += [
            self.read_p.address.eq(delay(chunk.parameters, early, "parameters")),
            self.read_p.freed.eq(delay(frees, early, "freed", init=0)),
        ]
        # `count` and `last` are delayed by as much as the results.
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
        """The result lanes, with all inputs connected except `put` and `take`."""
        config = self._config
        control = self._control(delay, chunk)
        lanes = []
        for number in range(config.results):
            columns = [
                self.sums.data[column] for column in range(number, config.cols, config.results)
            ]
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
        factory = partial(ResultLane, self._config, columns=columns, odd=odd)
        return place(m, f"lane_{number}", name, factory, platform)

    def _control(self, delay: Delay, chunk: data.View) -> Value:
        """The control of a chunk, each field delayed as `control_times` states."""
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
            # In modes without regions a sum has no high part.
            "ratio": Mux(regions, chunk.ratio, 0),
            "bare": chunk.output == Output.SUM,
            "raw": chunk.output < Output.EIGHT,
            "narrow": chunk.output == Output.FOUR,
        }
        layout, times = control_layout(config), control_times(config)
        return Cat(delay(fields[name][: field.width], times[name], name) for name, field in layout)

    def _scaling(self, lane: int) -> Value:
        """The parameters of one lane's column, from the word read."""
        fields = self.read_p.word.word_select(lane, 8 * PARAMETER_BYTES)
        widths = {"bias": BIAS_WIDTH, "mult": MULT_WIDTH, "shift": SHIFT_WIDTH}
        starts = {name: start for name, (start, _) in PARAMETER_FIELDS.items()}
        return Cat(fields[starts[name] : starts[name] + width] for name, width in widths.items())
