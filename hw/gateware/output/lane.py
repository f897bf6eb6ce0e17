"""A result lane: turns the sums of every chunk into one result, which waits for the sink."""

from amaranth import Array as Choice
from amaranth import Module, Mux, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import RATIO_WIDTH, Config
from hw.gateware.lib.delay import Delay
from hw.gateware.lib.queue import Buffer
from hw.gateware.output.collector import Column
from hw.gateware.output.joiner import Joiner
from hw.gateware.output.requantizer import SCALING_LAYOUT, Requantizer
from hw.target import kept_apart, place

__all__ = [
    "ResultLane",
    "control_layout",
    "control_times",
    "lane_latency",
    "queue_depth",
    "sum_latency",
]

CHOSEN = Column.latency + 4
"""Cycles from a chunk's address to the sum of a column.

The collector is read, a PE is chosen in three cycles, and one of its sums in the fourth.
"""


def sum_latency(config: Config) -> int:
    """Cycles from a chunk's address to the requantizer's input; more if the build joins sums."""
    return CHOSEN + Joiner.latency * int(config.has_regions)


def lane_latency(config: Config) -> int:
    """Cycles from a chunk's address to its results at the FIFO's input."""
    return sum_latency(config) + Requantizer.latency_of(config.dsp)


def queue_depth(config: Config) -> int:
    """Slots of a lane's FIFO, which also limit the chunks in the lane.

    They suffice for a chunk in every cycle: a power of two, and no less than the cycles from taking
    a chunk to its slot being free again.
    """
    return 1 << (lane_latency(config) + 6).bit_length()


def control_layout(config: Config) -> data.StructLayout:
    """How a lane treats a chunk; each field has its own time, see `control_times`.

    index         the PE among the lane's columns
    wide          a PE contains two columns of the tile
    second        where `wide`: the chunk belongs to the second half of the PEs' columns
    quad, pair    a PE contains four sums, or two
    upper         the result belongs to the second of a PE's two rows
    ratio         input of the joiner; 0 in modes whose sums have one part
    bare          no bias
    raw, narrow   inputs of the requantizer
    """
    return data.StructLayout(
        {
            "index": range(max(2, -(-config.cols // config.results))),
            "wide": 1,
            "second": 1,
            "quad": 1,
            "pair": 1,
            "upper": 1,
            "ratio": RATIO_WIDTH,
            "bare": 1,
            "raw": 1,
            "narrow": 1,
        }
    )


def control_times(config: Config) -> dict[str, int]:
    """Cycles from a chunk's address to each field of its control at the lane's port."""
    read, done = Column.latency, sum_latency(config)
    times = {"index": read - 1, "second": read, "wide": read + 1, "ratio": read + 3}
    times |= dict.fromkeys(("quad", "pair", "upper"), read + 2)
    return times | {"bare": done - 2, "raw": done - 1, "narrow": done - 1}


@kept_apart
class ResultLane(wiring.Component):
    """Computes one result of every chunk.

    It chooses a PE among its columns and one of the PE's sums, joins piece-wise sums, requantizes,
    and holds results in a FIFO.

    Parameters:
      config    the build
      columns   columns of the array that the lane reads, 0 or more (keyword-only)
      odd       the lane's number is odd (keyword-only)

    Members:
      columns In(columns x sum_width)   sums from the collector, every `results`-th column
      pe Out(sum_width)                 the PE chosen, for other lanes
      pes In(2 x sum_width)             the PEs to read where a PE contains two columns: for the
                                        first half of their columns, and for the second
      control In(control_layout)        each field after its `control_times`
      scaling In(SCALING_LAYOUT)        one cycle before the sum
      put In(1)                         two cycles before the result enters the FIFO
      y Out(signed result_width)        the oldest result
      take In(1)                        removes it

    Latency: `lane_latency` cycles from a chunk's address to the FIFO. Throughput: one result a
    cycle. The FIFO never refuses a result: `queue_depth` credits limit the chunks.

    Mapping keeps every lane apart: the registers of its control equal those of the other lanes,
    and if merged, one register would drive all lanes.
    """

    def __init__(self, config: Config, *, columns: int, odd: bool):
        self._config, self._columns, self._odd = config, columns, odd
        super().__init__(
            {
                "columns": In(data.ArrayLayout(config.sum_width, columns)),
                "pe": Out(config.sum_width),
                "pes": In(data.ArrayLayout(config.sum_width, 2)),
                "control": In(control_layout(config)),
                "scaling": In(SCALING_LAYOUT),
                "put": In(1),
                "take": In(1),
                "y": Out(signed(config.result_width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self._config
        m = Module()
        delay = Delay(m)
        control = {
            name: delay(self.control[name], 1, name) for name in control_layout(config).members
        }
        low, high = self._choose(m, delay, control)
        if config.has_regions:
            joiner = place(
                m, "joiner", "joiner", lambda: Joiner(width=config.output_width), platform
            )
            m.d.comb += [
                joiner.low.eq(low),
                joiner.high.eq(high),
                joiner.ratio.eq(control["ratio"]),
            ]
            low = joiner.y
        m.submodules.waiting = waiting = Buffer(
            shape=signed(config.result_width), depth=queue_depth(config)
        )
        requantizer = place(m, "requantizer", "requantizer", self._requantizer, platform)
        m.d.comb += [
            requantizer.sum.eq(low),
            requantizer.scaling.eq(delay(Mux(control["bare"], 0, self.scaling), 1, "scaling")),
            requantizer.raw.eq(control["raw"]),
            requantizer.narrow.eq(control["narrow"]),
            waiting.item.eq(requantizer.y),
            waiting.put.eq(delay(self.put, 1, "put", init=0)),
            waiting.take.eq(self.take),
            self.y.eq(waiting.head),
        ]
        return m

    def _requantizer(self) -> Requantizer:
        return Requantizer(sum_width=self._config.output_width, blocks=self._config.dsp)

    def _choose(self, m: Module, delay: Delay, control: dict[str, Value]) -> tuple[Value, Value]:
        """The low and the high part of the column's sum; a sum of one part is its low part."""
        config = self._config
        if self._columns:
            chosen = Choice(self.columns[i] for i in range(self._columns))[control["index"]]
            m.d.comb += self.pe.eq(delay(chosen, 1, "pe"))
        pe = delay(self.pe, 1, "own")
        if config.w_lanes == 2 and config.results > 1:
            other = delay(Mux(control["second"], self.pes[1], self.pes[0]), 1, "other")
            pe = Mux(control["wide"], other, pe)
        halves, fields = self._split(delay(pe, 1, "sums"))

        low: Value = halves[0]
        column: Value = delay(control["second"], 2, "column")
        if config.results > 1:
            column = Value.cast(int(self._odd))
        if config.has_pair:
            low = Mux(control["pair"], Mux(column, halves[1], halves[0]), low)
        if config.has_quad:
            upper = control["upper"]
            four = Mux(column, Mux(upper, fields[3], fields[2]), Mux(upper, fields[1], fields[0]))
            low = Mux(control["quad"], four, low)
        return delay(low, 1, "low"), delay(halves[-1], 1, "high")

    def _split(self, pe: Value) -> tuple[list[Value], list[Value]]:
        """The sums of a PE as halves, and as the fields of the halves."""
        halves: list[Value] = []
        fields: list[Value] = []
        offset = 0
        for widths in self._config.lanes:
            half = pe[offset : offset + sum(widths)]
            halves.append(half.as_signed())
            start = 0
            for width in widths:
                fields.append(half[start : start + width].as_signed())
                start += width
            offset += sum(widths)
        return halves, fields
