"""The operand buffer: a ring of lines in block RAM, written by the bus and read word by word."""

from functools import partial
from math import gcd

from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from golden.spec.commands import Ring
from hw.gateware.lib.delay import Delay
from hw.target import kept_apart, place

__all__ = ["Bank", "OperandBuffer", "ReadPort", "WritePort", "sequence_width"]

BANK_BITS = 1 << 16
"""Most bits of memory behind one address register: four block RAMs of ECP5.

A register for 32 block RAMs would drive wires across the whole part.
"""


def sequence_width(ring: Ring) -> int:
    """Bits of a line's sequence number.

    The sign bit of the difference orders two numbers that are up to `ring.lines` apart.
    """
    return ring.lines.bit_length() + 1


class WritePort(wiring.Signature):
    """Writes transfers of the bus into an operand buffer, from the writer's side.

    Parameters:
      bus   bytes of a transfer

    Members:
      data In the buffer (8 * bus bits)   the transfer
      put (1 bit, to the buffer)          the transfer is valid; only while `room`
      end (1 bit, to the buffer)          it is the last transfer of its load
      line (1 bit, from the buffer)       this transfer completes a line
      room (1 bit, from the buffer)       a register: a line is free
    """

    def __init__(self, *, bus: int):
        super().__init__(
            {
                "data": Out(8 * bus),
                "put": Out(1),
                "end": Out(1),
                "line": In(1),
                "room": In(1, init=1),
            }
        )


class ReadPort(wiring.Signature):
    """Reads words of an operand buffer and frees its lines, from the reader's side.

    Parameters:
      ring   the buffer's geometry

    Members:
      address (to the buffer)               word to read, 0..lines * factor - 1
      word (8 * ring.word bits, from it)    the word, `OperandBuffer.latency` cycles later
      freed (to the buffer)                 lines freed in this cycle, oldest first, 0..lines
    """

    def __init__(self, ring: Ring):
        super().__init__(
            {
                "address": Out(range(ring.lines * ring.factor)),
                "word": In(8 * ring.word),
                "freed": Out(range(ring.lines + 1)),
            }
        )


@kept_apart
class Bank(wiring.Component):
    """Some bits of every line, with registers of their own before and behind the memory.

    Parameters:
      width   bits of a line that this bank stores
      lines   lines

    Members:
      write In(1), to In(line), line In(width)   `line` is stored at `to` one cycle later
      address In(line), data Out(width)          `data` follows `address` by `latency` cycles

    Throughput: one write and one read a cycle. A read of a line in the cycle that stores it returns
    undefined data.

    Mapping keeps every bank apart: its registers equal those of the other banks, and if merged, one
    register would drive all banks. On ECP5 the register behind the memory moves into the block RAM
    (hw.flow.block_ram).
    """

    latency = 3

    def __init__(self, *, width: int, lines: int):
        super().__init__(
            {
                "write": In(1),
                "to": In(range(lines)),
                "line": In(width),
                "address": In(range(lines)),
                "data": Out(width),
            }
        )
        self._width, self._lines = width, lines

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.memory = lines = memory.Memory(shape=self._width, depth=self._lines, init=[])
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


class OperandBuffer(wiring.Component):
    """A ring of `ring.lines` lines, written in order and read at any address.

    Parameters:
      ring   geometry: words, bytes of a word, bytes of a bus transfer
      name   prefix of the bank modules' names; equal names require equal rings

    Members:
      write In(WritePort)           transfers of the bus, gathered into lines
      read In(ReadPort)             words, and lines that are freed
      loaded Out(sequence_width)    lines that can be read, counted modulo 2^sequence_width

    Latency: `latency` cycles from an address to its word. A line can be read 3 cycles after its
    last transfer. Throughput: one transfer and one word a cycle. A transfer is counted in the cycle
    of `put` and stored one cycle later, so `put` drives only a few registers.
    """

    latency = Bank.latency + 1

    def __init__(self, ring: Ring, *, name: str = "ring"):
        self.ring = ring
        self._name = name
        super().__init__(
            {
                "write": In(WritePort(bus=ring.bus)),
                "read": In(ReadPort(ring)),
                "loaded": Out(sequence_width(ring)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        ring = self.ring
        m = Module()
        line, complete = self._gather(m)
        gathered, written = Signal(), Signal()
        next_line = Signal(range(ring.lines))
        m.d.comb += self.write.line.eq(complete)
        m.d.sync += [gathered.eq(self.write.put & complete), written.eq(gathered)]
        with m.If(gathered):
            m.d.sync += next_line.eq(Mux(next_line == ring.lines - 1, 0, next_line + 1))
        with m.If(written):
            m.d.sync += self.loaded.eq(self.loaded + 1)
        self._count_room(m, gathered, self.write.room & complete)

        words = ring.factor.bit_length() - 1
        address = Signal(range(ring.lines))
        m.d.comb += address.eq(self.read.address[words:])
        read = []
        for bank, start in self._banks(m, platform):
            m.d.comb += [
                bank.write.eq(gathered),
                bank.to.eq(next_line),
                bank.line.eq(line[start : start + len(bank.line)]),
                bank.address.eq(address),
            ]
            read.append(bank.data)
        delay = Delay(m)
        part = delay(self.read.address[:words], Bank.latency, "part")
        word = Cat(*read).word_select(part, 8 * ring.word)
        m.d.comb += self.read.word.eq(delay(word, 1, "word"))
        return m

    def _banks(self, m: Module, platform: object) -> list[tuple[Bank, int]]:
        """The banks, each with the first bit of a line that it stores."""
        ring = self.ring
        width = max(1, min(ring.line, BANK_BITS // ring.lines // 8)) * 8
        banks = []
        for index, start in enumerate(range(0, 8 * ring.line, width)):
            bits = min(width, 8 * ring.line - start)
            factory = partial(Bank, width=bits, lines=ring.lines)
            bank = place(m, f"bank_{index}", f"{self._name}_bank_{bits}", factory, platform)
            banks.append((bank, start))
        return banks

    def _count_room(self, m: Module, gathered: Value, taken: Value) -> None:
        """Drive `room`.

        `spare_n` = free lines - n, excluding last cycle's write; its sign bit is set while fewer
        than n lines are free. `room` is 1 if a line is free besides those for last cycle's write
        (`gathered`) and for the line that this cycle may complete (`taken`). If this cycle
        completes no line, `room` is set one cycle late.
        """
        ring, enough = self.ring, []
        for number in (1, 2, 3):
            spare = Signal(
                range(-number, ring.lines), init=ring.lines - number, name=f"spare_{number}"
            )
            m.d.sync += spare.eq(spare - gathered + self.read.freed)
            enough.append(~spare[-1])
        m.d.sync += self.write.room.eq(
            Mux(gathered & taken, enough[2], Mux(gathered | taken, enough[1], enough[0]))
        )

    def _gather(self, m: Module) -> tuple[Value, Value]:
        """Place transfers side by side until they fill a line.

        Returns the line, one cycle after its last transfer, and whether the current transfer
        completes a line.
        """
        ring = self.ring
        transfer, put = Signal(8 * ring.bus, reset_less=True), Signal()
        m.d.sync += [transfer.eq(self.write.data), put.eq(self.write.put)]
        if ring.line == ring.bus:
            return transfer, Value.cast(1)
        unit = gcd(ring.line, ring.bus)
        size, step = ring.line // unit, ring.bus // unit
        count, units = Signal(range(size)), Signal(range(size))
        complete, completed = Signal(), Signal()
        m.d.comb += complete.eq(count >= size - step)
        m.d.sync += [units.eq(count), completed.eq(complete)]
        with m.If(self.write.put):
            advanced = Mux(complete, count + step - size, count + step)
            m.d.sync += count.eq(Mux(self.write.end, 0, advanced))
        if unit == ring.bus:
            # Whole transfers: shift them in from the high end, without multiplexers.
            shifted = Signal(8 * (ring.line - ring.bus), reset_less=True)
            line = Cat(shifted, transfer)
            with m.If(put):
                m.d.sync += shifted.eq(line[8 * ring.bus :])
            return line, complete
        held = Signal(8 * (ring.line - unit), reset_less=True)
        gathered = Signal(8 * (ring.line + ring.bus - unit))
        with m.Switch(units):
            for filled in range(size):
                with m.Case(filled):
                    m.d.comb += gathered.eq(Cat(held[: 8 * unit * filled], transfer))
        with m.If(put):
            m.d.sync += held.eq(Mux(completed, gathered[8 * ring.line :], gathered))
        return gathered[: 8 * ring.line], complete
