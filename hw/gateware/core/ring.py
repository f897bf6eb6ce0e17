"""Operand buffers: rings of lines in block RAM, filled from the load stream and read word by word."""

from functools import partial
from math import gcd

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from golden.spec.commands import Ring
from hw.gateware.lib.delay import Delay
from hw.target import kept_apart, place


def sequence_width(ring: Ring) -> int:
    """Bits in which line numbers are counted: two that are a ring apart compare right, either way round."""
    return ring.lines.bit_length() + 1


BANK = 1 << 16
"""Bits of memory that share an address register: four block RAMs of ECP5.

32 of them stand all over the part.
"""


@kept_apart
class Bank(wiring.Component):
    """Some bits of every line, with registers of their own before the memory and behind it.

    Members: write In(1), to In(line), line In(width): stored a cycle later; address In(line), data
    Out(width) `latency` cycles later. What a line is read as in the cycle that stores it is
    undefined.

    Every bank is kept apart in mapping: its registers equal other banks', and merged they would
    drive all of them. Block RAMs have the register behind the memory inside (see
    hw.flow.block_ram).
    """

    latency = 3

    def __init__(self, width: int, lines: int):
        super().__init__(
            {
                "write": In(1),
                "to": In(range(lines)),
                "line": In(width),
                "address": In(range(lines)),
                "data": Out(width),
            }
        )
        self._shape, self._lines = width, lines

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = lines = memory.Memory(shape=self._shape, depth=self._lines, init=[])
        write, read = lines.write_port(), lines.read_port()
        delay = Delay(m)
        m.d.comb += [
            write.en.eq(delay(self.write, 1, "write", init=0)),
            write.addr.eq(delay(self.to, 1, "to")),
            write.data.eq(delay(self.line, 1, "line")),
            read.en.eq(1),
            read.addr.eq(delay(self.address, 1, "address")),
            self.data.eq(delay(read.data, 1, "stored")),
        ]
        return m


class RingBuffer(wiring.Component):
    """A ring of `ring.lines` lines, written in order and read anywhere.

    Members:
      beat In(8 * bus), put In(1)       a beat of the load stream; `end` In(1) with the last one of a load
      line Out(1)                       this beat completes a line
      room Out(1), a register           a line is free; without it nothing may be put
      loaded Out(sequence_width)        lines that can be read, counted modulo 2^width
      freed In(0..lines)                lines given back, oldest first
      address In(word address)          word to read
      word Out(8 * ring.word)           the word, `latency` cycles later

    A beat a cycle in, a word a cycle out. A line can be read 3 cycles after its last beat. Beats
    are counted when they come and stored a cycle later: `put` reaches a few registers, and these
    reach the many. `name` is that of the banks' modules, the same for equal rings alone.
    """

    latency = Bank.latency + 1

    def __init__(self, ring: Ring, name: str = "ring"):
        self.ring = ring
        self._name = name
        super().__init__(
            {
                "beat": In(8 * ring.bus),
                "put": In(1),
                "end": In(1),
                "line": Out(1),
                "room": Out(1, init=1),
                "loaded": Out(sequence_width(ring)),
                "freed": In(range(ring.lines + 1)),
                "address": In(range(ring.lines * ring.factor)),
                "word": Out(8 * ring.word),
            }
        )

    def elaborate(self, platform: object) -> Module:
        ring = self.ring
        m = Module()
        line, complete = self._gathered(m)
        gathered, written = Signal(), Signal()
        next_line, address = Signal(range(ring.lines)), Signal(range(ring.lines))
        m.d.comb += self.line.eq(complete)
        m.d.sync += [gathered.eq(self.put & complete), written.eq(gathered)]
        with m.If(gathered):
            m.d.sync += next_line.eq(Mux(next_line == ring.lines - 1, 0, next_line + 1))
        with m.If(written):
            m.d.sync += self.loaded.eq(self.loaded + 1)
        read = []
        width = max(1, min(ring.line, BANK // ring.lines // 8)) * 8
        for index, start in enumerate(range(0, 8 * ring.line, width)):
            bits = min(width, 8 * ring.line - start)
            bank = place(
                m,
                f"bank_{index}",
                f"{self._name}_bank_{bits}",
                partial(Bank, bits, ring.lines),
                platform,
            )
            m.d.comb += [
                bank.write.eq(gathered),
                bank.to.eq(next_line),
                bank.line.eq(line[start : start + bits]),
                bank.address.eq(address),
            ]
            read.append(bank.data)

        # Free lines less one, two and three, but for the line that the last cycle took: their signs
        # say whether there is room beside that one and the one that this cycle may take. If it does
        # not, room is back a cycle later.
        enough = []
        for number in (1, 2, 3):
            spare = Signal(
                range(-number, ring.lines), init=ring.lines - number, name=f"spare_{number}"
            )
            m.d.sync += spare.eq(spare - gathered + self.freed)
            enough.append(~spare[-1])
        taken = self.room & complete
        m.d.sync += self.room.eq(
            Mux(gathered & taken, enough[2], Mux(gathered | taken, enough[1], enough[0]))
        )

        words = ring.factor.bit_length() - 1
        m.d.comb += address.eq(self.address[words:])
        delay = Delay(m)
        part = delay(self.address[:words], Bank.latency, "part")
        m.d.comb += self.word.eq(delay(Cat(*read).word_select(part, 8 * ring.word), 1, "word"))
        return m

    def _gathered(self, m: Module) -> tuple[Value, Value]:
        """(line, whether this beat completes it): beats side by side until they fill a line, a cycle after them."""
        ring = self.ring
        beat, put = Signal(8 * ring.bus, reset_less=True), Signal()
        m.d.sync += [beat.eq(self.beat), put.eq(self.put)]
        if ring.line == ring.bus:
            return beat, Value.cast(1)
        unit = gcd(ring.line, ring.bus)
        size, step = ring.line // unit, ring.bus // unit
        count, units = Signal(range(size)), Signal(range(size))
        complete, completed = Signal(), Signal()
        m.d.comb += complete.eq(count >= size - step)
        m.d.sync += [units.eq(count), completed.eq(complete)]
        with m.If(self.put):
            m.d.sync += count.eq(Mux(self.end, 0, Mux(complete, count + step - size, count + step)))
        if unit == ring.bus:
            # Whole beats: the oldest leaves at the low end, and nothing is chosen.
            shifted = Signal(8 * (ring.line - ring.bus), reset_less=True)
            line = Cat(shifted, beat)
            with m.If(put):
                m.d.sync += shifted.eq(line[8 * ring.bus :])
            return line, complete
        held = Signal(8 * (ring.line - unit), reset_less=True)
        gathered = Signal(8 * (ring.line + ring.bus - unit))
        with m.Switch(units):
            for filled in range(size):
                with m.Case(filled):
                    m.d.comb += gathered.eq(Cat(held[: 8 * unit * filled], beat))
        with m.If(put):
            m.d.sync += held.eq(Mux(completed, gathered[8 * ring.line :], gathered))
        return gathered[: 8 * ring.line], complete
