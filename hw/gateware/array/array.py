"""Systolic array: skew, edge decoders, PEs and drain chains."""

from itertools import pairwise
from typing import Any

from amaranth import Cat, Module, ResetSignal, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import Config
from hw.gateware.array.decoder import WDecoder, XDecoder, decoder_latency, mode_tags
from hw.gateware.array.mesh import tag_layout
from hw.gateware.array.processing import pe_class, processing_element
from hw.gateware.lib.delay import Delay, register
from hw.gateware.lib.reset import staged
from hw.target import kept_apart, place

__all__ = ["Array", "array_latency"]


def array_latency(config: Config) -> int:
    """Return the cycles from a step with `last` to the sums of row 0, column 0."""
    return decoder_latency(config) + 1 + pe_class(config).latency_of(config) + int(config.staggered)


@kept_apart
class Array(wiring.Component):
    """Output-stationary systolic array of `rows` x `cols` PEs.

    Formula: PE (r, c) sums x[k, r] * w[k, c] over the steps k of a tile.

    x moves right and w moves down, skewed so that row r and column c lag by r + c cycles. Sums
    drain towards row 0, against the skew: each row captures its sums one cycle after the row above
    and is one PE farther from the edge. So the results of a column are two cycles apart, and its
    chain is free again after 2 * rows - 1 cycles.

    Parameters:
        config: Build, which gives the size, the modes and the widths.

    Members:
        step: In(`config.step_layout`). Operands of one k of a tile, with mode, offset and `last`.
            Steps with `last` are at least `config.interval` cycles apart.
        valid: In(1). `step` counts; otherwise it adds nothing.
        sums: Out(`cols` x `sum_width`). Sums of one PE per column.
        drained: Out(`cols`). `sums` of that column is a result in this cycle.

    Latency: from a step with `last` to the sums of row r, column c: `array_latency` + c + 2 * r
    cycles. Throughput: one step per cycle, without flow control.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "step": In(config.step_layout),
                "valid": In(1),
                "sums": Out(data.ArrayLayout(config.sum_width, config.cols)),
                "drained": Out(config.cols),
            }
        )

    @property
    def latency(self) -> int:
        """Cycles from a step with `last` to the sums of row 0, column 0."""
        return array_latency(self.config)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        pes = self._mesh(m, platform)
        # Row r + 1 lags row r by one cycle, as column 1 lags column 0: both take the same tag.
        m.d.comb += pes[0][0].west.tag.eq(self._tag(m))
        m.d.comb += [below[0].west.tag.eq(row[0].east.tag) for row, below in pairwise(pes)]
        self._feed_rows(m, platform, [row[0] for row in pes])
        self._feed_columns(m, platform, pes[0])
        self._drain(m, pes[0])
        return m

    def _mesh(self, m: Module, platform: object) -> list[list[Any]]:
        """Place the PEs and connect each to its neighbours."""
        pes: list[list[Any]] = []
        first: Value = ResetSignal(allow_reset_less=True)
        for r in range(self.config.rows):
            # The reset moves with the operands, two PEs per stage, so it never overtakes later
            # data. One register for all PEs, or for a row, would have too long a wire.
            first = reset = staged(m, f"{r}_0", first, platform)
            row = []
            for c in range(self.config.cols):
                if c and c % 2 == 0:
                    reset = staged(m, f"{r}_{c}", reset, platform)
                row.append(place(m, f"pe_{r}_{c}", "pe", self._pe, platform, reset))
            pes.append(row)
        for row in pes:
            for left, right in pairwise(row):
                wiring.connect(m, left.east, right.west)
        for above, below in pairwise(pes):
            for upper, lower in zip(above, below, strict=True):
                wiring.connect(m, upper.south, lower.north)
                m.d.comb += upper.drain_i.eq(lower.drain_o)
        return pes

    def _pe(self) -> Any:
        return processing_element(self.config)

    def _tag(self, m: Module) -> Signal:
        """Return the tag that arrives at row 0 with the operands."""
        fields = {
            "last": self.step.last & self.valid,
            **mode_tags(self.config, self.step.mode),
        }
        layout = tag_layout(self.config)
        value: Value = Cat(fields[name] for name in layout.members)
        for stage in range(decoder_latency(self.config) + 1):
            # `last` resets to 1, as in the PEs: operands in flight at a reset enter no sum.
            tag = Signal(layout, name=f"tag_{stage}", init={"last": 1})
            m.d.sync += tag.as_value().eq(value)
            value = tag.as_value()
        return tag

    def _feed_rows(self, m: Module, platform: object, edge: list[Any]) -> None:
        """Delay and decode the x codes of each row."""
        delay = Delay(m)
        mode, valid = self.step.mode, self.valid
        for r, pe in enumerate(edge):
            decoder = place(
                m, f"x_decoder_{r}", "x_decoder", lambda: XDecoder(self.config), platform
            )
            code = delay(self.step.x[r], self._skew(r), f"x_{r}")
            m.d.comb += [decoder.code.eq(code), decoder.valid.eq(valid), decoder.mode.eq(mode)]
            m.d.comb += pe.west.x.eq(register(m, decoder.x, f"x_operand_{r}"))
            if r + 1 < len(edge):
                # Each row has its own flags; shared ones would have too long a wire.
                mode, valid = register(m, mode, f"x_mode_{r}"), register(m, valid, f"x_valid_{r}")

    def _feed_columns(self, m: Module, platform: object, edge: list[Any]) -> None:
        """Delay and decode the w codes of each column."""
        delay = Delay(m)
        mode, offset = self.step.mode, self.step.offset
        for c, pe in enumerate(edge):
            decoder = place(
                m, f"w_decoder_{c}", "w_decoder", lambda: WDecoder(self.config), platform
            )
            # Invalid codes pass, because x is 0 then.
            code = delay(self.step.w[c], self._skew(c), f"w_{c}")
            m.d.comb += [decoder.code.eq(code), decoder.mode.eq(mode), decoder.offset.eq(offset)]
            m.d.comb += pe.north.w.eq(register(m, decoder.w, f"w_operand_{c}"))
            if self.config.has_regions:
                m.d.comb += pe.north.region.eq(register(m, decoder.region, f"region_{c}"))
            if c + 1 < len(edge):
                mode = register(m, mode, f"w_mode_{c}")
                offset = register(m, offset, f"w_offset_{c}")

    def _skew(self, index: int) -> int:
        """Return the cycles by which row or column `index` lags."""
        return index

    def _drain(self, m: Module, edge: list[Any]) -> None:
        """Drive `sums` and `drained` from the PEs of row 0."""
        start = self.step.last & self.valid
        for stage in range(array_latency(self.config) - 1):
            start = register(m, start, f"captured_{stage}", init=0)
        result = start
        if self.config.rows > 1:
            # Row 0's sums, then those of the rows below in every second cycle.
            left, between, result = Signal(range(self.config.rows)), Signal(), Signal()
            m.d.comb += result.eq(start | (left.any() & ~between))
            with m.If(start):
                m.d.sync += [left.eq(self.config.rows - 1), between.eq(1)]
            with m.Elif(left.any()):
                m.d.sync += [left.eq(left - result), between.eq(~between)]
        drained = register(m, result, "drained_first", init=0)
        for c, pe in enumerate(edge):
            m.d.comb += [
                self.sums[c].eq(self._aligned(m, pe.drain_o, c)),
                self.drained[c].eq(drained),
            ]
            if c + 1 < len(edge):
                drained = register(m, drained, f"drained_{c}", init=0)

    def _aligned(self, m: Module, sums: Value, column: int) -> Value:
        """Return the parts of a PE's sums in the same cycle: register the early parts once more."""
        if not self.config.staggered:
            return sums
        parts, offset = [], 0
        for number, (width, late) in enumerate(self.config.parts):
            part = sums[offset : offset + width]
            parts.append(part if late else register(m, part, f"aligned_{column}_{number}"))
            offset += width
        return Cat(*parts)
