"""The account of an operand buffer: its lines in use, as the accepted commands leave them."""

from amaranth import Cat, Module, Mux, Signal, signed
from amaranth.hdl import ShapeLike
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec.commands import FIELDS, Opcode, Ring
from hw.gateware.core.operand_buffer import sequence_width

__all__ = ["LINE_WIDTH", "Account"]

LINE_WIDTH = FIELDS[Opcode.COMPUTE]["x"][1]
"""Bits of a line's number in a command."""

_SUM_WIDTH = LINE_WIDTH + 2
"""Bits of a line's number plus the lines of a buffer plus the lines of a panel."""


class Account(wiring.Component):
    """Keeps the oldest line and the fill of a buffer, and checks panels against them.

    Parameters (keyword-only):
      ring    the buffer's geometry
      depth   shape of a panel's lines

    Members:
      line In(LINE_WIDTH), depth In   first line and lines of a panel
      unused In(1)                    the tile reads no panel of this buffer
      load In(1), total In(lines)     the buffer will be filled to `total` lines
      free In(1)                      the lines up to the panel's end are freed
      fill Out(lines)                 lines in use: loaded, or ordered by a LOAD
      legal Out(1)                    2 cycles after the panel: it was loaded and not freed
      behind Out(lines)               2 cycles after the panel: lines from the oldest to its end
      needs Out(sequence_width)       2 cycles after the panel: sequence number of its end

    `free` may be set 3 cycles after the panel or later, with the panel unchanged. No flow control.
    """

    def __init__(self, *, ring: Ring, depth: ShapeLike):
        self._ring = ring
        lines = range(ring.lines + 1)
        super().__init__(
            {
                "line": In(LINE_WIDTH),
                "depth": In(depth),
                "unused": In(1),
                "load": In(1),
                "total": In(lines),
                "free": In(1),
                "fill": Out(lines),
                "legal": Out(1),
                "behind": Out(lines),
                "needs": Out(sequence_width(ring)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        lines = self._ring.lines
        tail = Signal(range(lines))
        sequence = Signal.like(self.needs)
        # Pipeline registers of the panel that is checked; `legal` and `behind` belong to the second
        # stage, `moved` and `left` to the third.
        distance = Signal(_SUM_WIDTH, reset_less=True)
        spare = Signal(signed(_SUM_WIDTH), reset_less=True)
        known = Signal(reset_less=True)
        behind = Signal(_SUM_WIDTH, reset_less=True)
        legal = Signal(reset_less=True)
        moved = Signal(range(lines), reset_less=True)
        left = Signal(range(lines + 1), reset_less=True)

        ahead, around = self.line - tail, self.line - tail + lines
        depth = Mux(self.unused, 0, self.depth)
        end = tail + behind
        m.d.sync += [
            distance.eq(Mux(self.unused, 0, Mux(ahead < 0, around, ahead))),
            spare.eq(self.fill - depth),
            known.eq((self.line < lines) | self.unused),
            behind.eq(distance + depth),
            # An unknown line becomes a distance greater than any `spare`.
            legal.eq(Cat(distance, ~known) <= spare),
            moved.eq(Mux(end >= lines, end - lines, end)),
            left.eq(self.fill - behind),
        ]
        m.d.comb += [
            self.legal.eq(legal),
            self.behind.eq(behind),
            self.needs.eq(sequence + behind),
        ]
        with m.If(self.load):
            m.d.sync += self.fill.eq(self.total)
        with m.If(self.free):
            m.d.sync += [tail.eq(moved), self.fill.eq(left), sequence.eq(self.needs)]
        return m
