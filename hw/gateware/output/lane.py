"""One lane of the result stream: from the sums that the collector holds to codes that wait for the sink."""

from amaranth import Array as Choice
from amaranth import Module, Mux, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import RATIO_WIDTH, Config
from hw.gateware.lib.delay import Delay
from hw.gateware.lib.queue import Buffer
from hw.gateware.output.collector import Column
from hw.gateware.output.joiner import Joiner
from hw.gateware.output.requantizer import SCALING_LAYOUT, Requantizer, requantizer_latency
from hw.target import kept_apart, place

CHOSEN = Column.latency + 4
"""Cycles from a chunk's address to the sums of its columns: read, three to choose a PE, one a part of its sums."""


def summed(config: Config) -> int:
    """Cycles from a chunk's address to what the requantizer takes: more where parts are joined."""
    return CHOSEN + Joiner.latency * int(config.has_regions)


def lane_latency(config: Config) -> int:
    """Cycles from a chunk's address to its results in the buffer."""
    return summed(config) + requantizer_latency(config)


def queue_depth(config: Config) -> int:
    """Results of a lane on their way or waiting for the sink: enough for one each cycle.

    A power of two, and no less than the cycles from a chunk being taken to its place being free
    again.
    """
    return 1 << (lane_latency(config) + 6).bit_length()


def control_layout(config: Config) -> data.StructLayout:
    """What a lane is told of a chunk, with each field the cycle after a chunk's address in which the lane looks at it.

    `index` of the lane's columns; whether a PE holds two columns (`wide`), and then which half of
    the PEs at hand this chunk is of (`second`); PEs with four sums or two (`quad`, `pair`), the
    `upper` of two rows; `ratio`, 0 where sums have one part; sums alone (`bare`), without
    requantization (`raw`) or to 4 bits (`narrow`).
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
    read, done = Column.latency, summed(config)
    times = {"index": read - 1, "second": read, "wide": read + 1, "ratio": read + 3}
    times |= dict.fromkeys(("quad", "pair", "upper"), read + 2)
    return times | {"bare": done - 2, "raw": done - 1, "narrow": done - 1}


@kept_apart
class ResultLane(wiring.Component):
    """A result of every chunk: chooses a PE among its columns, a part of its sums, joins parts, requantizes.

    Members: columns In(sum_width each) from the collector, every `results`-th; pe Out(sum_width),
    the one chosen, for lanes to share; pes In(2 x sum_width), which to take from where PEs hold two
    columns: of the first half of their results and of the second; control In(control_layout), each
    field as early as `control_times` says; scaling In(SCALING_LAYOUT) a cycle before the sum; put
    In(1) two cycles before a result, which waits `lane_latency` behind the chunk's address; y
    Out(signed result_width), the oldest that waits, and take In(1).

    Each lane is kept apart in mapping: its controls are registers of its own, and merged they would
    drive all lanes.
    """

    def __init__(self, config: Config, columns: int, odd: bool):
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
        low, high = self._chosen(m, delay, control)
        if config.has_regions:
            joiner = place(m, "joiner", "joiner", lambda: Joiner(config), platform)
            m.d.comb += [
                joiner.low.eq(low),
                joiner.high.eq(high),
                joiner.ratio.eq(control["ratio"]),
            ]
            low = joiner.y
        m.submodules.waiting = waiting = Buffer(
            shape=signed(config.result_width), depth=queue_depth(config)
        )
        requantizer = place(m, "requantizer", "requantizer", lambda: Requantizer(config), platform)
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

    def _chosen(self, m: Module, delay: Delay, control: dict[str, Value]) -> tuple[Value, Value]:
        """The sum of the lane's column, or its low part and its high one."""
        config = self._config
        if self._columns:
            chosen = Choice(self.columns[i] for i in range(self._columns))[control["index"]]
            m.d.comb += self.pe.eq(delay(chosen, 1, "pe"))
        pe = delay(self.pe, 1, "own")
        if config.w_lanes == 2 and config.results > 1:
            other = delay(Mux(control["second"], self.pes[1], self.pes[0]), 1, "other")
            pe = Mux(control["wide"], other, pe)
        halves, lanes = self._split(delay(pe, 1, "sums"))

        low: Value = halves[0]
        column: Value = delay(control["second"], 2, "column")
        if config.results > 1:
            column = Value.cast(int(self._odd))
        if config.has_pair:
            low = Mux(control["pair"], Mux(column, halves[1], halves[0]), low)
        if config.has_quad:
            upper = control["upper"]
            four = Mux(column, Mux(upper, lanes[3], lanes[2]), Mux(upper, lanes[1], lanes[0]))
            low = Mux(control["quad"], four, low)
        return delay(low, 1, "low"), delay(halves[-1], 1, "high")

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
