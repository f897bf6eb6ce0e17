"""The systolic array: skew, edge decoders, PEs, drain chains."""

from itertools import pairwise
from typing import Any

from amaranth import Cat, Module, ResetSignal, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import Config
from hw.gateware.array.decoder import WDecoder, XDecoder, decoder_latency, mode_tags
from hw.gateware.array.pe import tag_layout
from hw.gateware.array.processing import pe_class, processing_element
from hw.gateware.lib.reset import staged
from hw.target import kept_apart, place


def array_latency(config: Config) -> int:
    """Cycles from a `last` beat to the sums of row 0, column 0."""
    return decoder_latency(config) + 1 + pe_class(config).latency_of(config) + int(config.staggered)


@kept_apart
class Array(wiring.Component):
    """rows x cols sums of products, one tile after another.

    Members (widths from the build's `Config`):
      beat In(beat_layout), valid In(1)   one k of the tile per cycle; a cycle without `valid` adds nothing.
                                          Beats with `last` are at least `interval` cycles apart
      sums Out(cols x sum_width)          the sums of one PE per column, on its way out
      drained Out(cols)                   whether `sums` of that column is a result in this cycle

    x flows right and w flows down, skewed so that row r and column c lag by r + c cycles. Sums
    leave towards row 0, against the skew: a row captures one cycle after the row above it and is
    one step farther, so results follow each other every second cycle and a chain is free again
    after 2 * rows - 1 cycles.

    Latency from a `last` beat to row r in column c: `array_latency` + c + 2 * r cycles. No flow
    control.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "beat": In(config.beat_layout),
                "valid": In(1),
                "sums": Out(data.ArrayLayout(config.sum_width, config.cols)),
                "drained": Out(config.cols),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        pes = []
        first: Value = ResetSignal(allow_reset_less=True)
        for r in range(config.rows):
            # A reset goes to the PEs, two at a time, before the operands, so what comes in behind
            # it stays behind it. One for all, or for a row, would have far to go.
            first = reset = staged(m, f"{r}_0", first, platform)
            row = []
            for c in range(config.cols):
                if c and c % 2 == 0:
                    reset = staged(m, f"{r}_{c}", reset, platform)
                row.append(
                    place(
                        m, f"pe_{r}_{c}", "pe", lambda: processing_element(config), platform, reset
                    )
                )
            pes.append(row)
        for r, row in enumerate(pes):
            for c, pe in enumerate(row):
                if c + 1 < config.cols:
                    m.d.comb += [row[c + 1].x.eq(pe.x_o), row[c + 1].tag.eq(pe.tag_o)]
                if r + 1 < config.rows:
                    below = pes[r + 1][c]
                    m.d.comb += [below.w.eq(pe.w_o), pe.drain_i.eq(below.drain_o)]
                    if config.has_regions:
                        m.d.comb += below.region.eq(pe.region_o)
        # A row lags by a cycle, as a PE does behind its left neighbour: tags go down the first
        # column, too.
        m.d.comb += pes[0][0].tag.eq(self._tag(m))
        m.d.comb += [below[0].tag.eq(row[0].tag_o) for row, below in pairwise(pes)]
        self._feed_rows(m, platform, [row[0] for row in pes])
        self._feed_columns(m, platform, pes[0])
        self._drain(m, pes[0])
        return m

    def _tag(self, m: Module) -> Signal:
        """The tag that goes with the operands of row 0."""
        fields = {
            "last": self.beat.last & self.valid,
            **mode_tags(self.config, self.beat.mode),
        }
        layout = tag_layout(self.config)
        value: Value = Cat(fields[name] for name in layout.members)
        for stage in range(decoder_latency(self.config) + 1):
            # As in the PEs: what is in flight at a reset enters no sum.
            tag = Signal(layout, name=f"tag_{stage}", init={"last": 1})
            m.d.sync += tag.as_value().eq(value)
            value = tag.as_value()
        return tag

    def _feed_rows(self, m: Module, platform: object, edge: list[Any]) -> None:
        """Skew and decode x."""
        mode, valid = self.beat.mode, self.valid
        for r, pe in enumerate(edge):
            decoder = place(
                m, f"x_decoder_{r}", "x_decoder", lambda: XDecoder(self.config), platform
            )
            code = self.beat.x[r]
            for stage in range(self._skew(r)):
                code = _delayed(m, code, f"x_{r}_{stage}")
            m.d.comb += [decoder.code.eq(code), decoder.valid.eq(valid), decoder.mode.eq(mode)]
            m.d.comb += pe.x.eq(_delayed(m, decoder.x, f"x_operand_{r}"))
            if r + 1 < len(edge):
                # Of the row's own: one flag for all rows would have far to go.
                mode, valid = _delayed(m, mode, f"x_mode_{r}"), _delayed(m, valid, f"x_valid_{r}")

    def _feed_columns(self, m: Module, platform: object, edge: list[Any]) -> None:
        """Skew and decode w."""
        mode, offset = self.beat.mode, self.beat.offset
        for c, pe in enumerate(edge):
            decoder = place(
                m, f"w_decoder_{c}", "w_decoder", lambda: WDecoder(self.config), platform
            )
            code = self.beat.w[c]
            for stage in range(self._skew(c)):
                # What is not valid passes: x is zero then.
                code = _delayed(m, code, f"w_{c}_{stage}")
            m.d.comb += [decoder.code.eq(code), decoder.mode.eq(mode), decoder.offset.eq(offset)]
            m.d.comb += pe.w.eq(_delayed(m, decoder.w, f"w_operand_{c}"))
            if self.config.has_regions:
                m.d.comb += pe.region.eq(_delayed(m, decoder.region, f"region_{c}"))
            if c + 1 < len(edge):
                mode, offset = (
                    _delayed(m, mode, f"w_mode_{c}"),
                    _delayed(m, offset, f"w_offset_{c}"),
                )

    def _skew(self, index: int) -> int:
        """Cycles that row or column `index` lags."""
        return index

    def _drain(self, m: Module, edge: list[Any]) -> None:
        """Mark the cycles in which a column's chain ends in a result."""
        start = self.beat.last & self.valid
        for stage in range(array_latency(self.config) - 1):
            start = _delayed(m, start, f"captured_{stage}", reset=True)
        following = start
        if self.config.rows > 1:
            left = Signal(range(self.config.rows))
            between = Signal()
            following = Signal()
            m.d.comb += following.eq(start | (left.any() & ~between))
            with m.If(start):
                m.d.sync += [left.eq(self.config.rows - 1), between.eq(1)]
            with m.Elif(left.any()):
                m.d.sync += [left.eq(left - following), between.eq(~between)]
        drained = _delayed(m, following, "drained_first", reset=True)
        for c, pe in enumerate(edge):
            m.d.comb += [
                self.sums[c].eq(self._aligned(m, pe.drain_o, c)),
                self.drained[c].eq(drained),
            ]
            if c + 1 < len(edge):
                drained = _delayed(m, drained, f"drained_{c}", reset=True)

    def _aligned(self, m: Module, sums: Value, column: int) -> Value:
        """The parts of one PE's sums in the same cycle: the late ones as they are, the others one later."""
        if not self.config.staggered:
            return sums
        parts, offset = [], 0
        for number, (width, late) in enumerate(self.config.parts):
            part = sums[offset : offset + width]
            parts.append(part if late else _delayed(m, part, f"aligned_{column}_{number}"))
            offset += width
        return Cat(*parts)


def _delayed(m: Module, value: Value, name: str, *, reset: bool = False) -> Value:
    register = Signal(value.shape(), name=name, reset_less=not reset)
    m.d.sync += register.eq(value)
    return register
