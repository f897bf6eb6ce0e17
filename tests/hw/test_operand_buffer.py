"""The operand buffer returns what was written, and never takes more than it can hold."""

import random
from typing import Any

import pytest

from golden.spec.commands import Ring
from hw.gateware.core.operand_buffer import OperandBuffer, sequence_width
from tests.support.rtl import Stalls, simulate

RINGS = {
    "a word a line": Ring(8, 6, 8),
    "words of a line": Ring(2, 16, 8),
    "transfers of a line": Ring(8, 7, 2),
    "lines across transfers": Ring(3, 8, 2),
    "lines of one bank and a half": Ring(12, 5, 8),
}


def lines_of(ring: Ring, transfers: list[int]) -> list[int]:
    """The lines of one load: its transfers side by side, the lowest first."""
    bits = sum(transfer << 8 * ring.bus * i for i, transfer in enumerate(transfers))
    count = len(transfers) * ring.bus // ring.line
    return [bits >> 8 * ring.line * i & (1 << 8 * ring.line) - 1 for i in range(count)]


def word_of(ring: Ring, line: int, part: int) -> int:
    return line >> 8 * ring.word * part & (1 << 8 * ring.word) - 1


class Contents:
    """What a buffer must hold: all lines written, the number stored and the number freed."""

    def __init__(self) -> None:
        self.lines: list[int] = []
        self.complete = self.freed = self.most = 0


def writer(buffer: OperandBuffer, contents: Contents, total: int, stalls: Stalls) -> Any:
    ring, draw = buffer.ring, random.Random(1)

    async def bench(ctx: Any) -> None:
        port = buffer.write
        # The last line is never freed: more are written than are waited for.
        while len(contents.lines) <= total:
            load = [
                draw.getrandbits(8 * ring.bus) for _ in range(ring.transfers(draw.randint(1, 3)))
            ]
            contents.lines += lines_of(ring, load)
            for index, transfer in enumerate(load):
                while stalls() or not ctx.get(port.room):
                    await ctx.tick()
                ctx.set(port.data, transfer)
                ctx.set(port.end, index == len(load) - 1)
                ctx.set(port.put, 1)
                contents.complete += ctx.get(port.line)
                contents.most = max(contents.most, contents.complete - contents.freed)
                assert contents.complete - contents.freed <= ring.lines
                await ctx.tick()
                ctx.set(port.put, 0)
            assert contents.complete == len(contents.lines)

    return bench


def reader(buffer: OperandBuffer, contents: Contents, total: int, stalls: Stalls) -> Any:
    ring, draw = buffer.ring, random.Random(2)
    modulus = 1 << sequence_width(ring)

    async def bench(ctx: Any) -> None:
        # Reads in flight: cycles left, line and expected word.
        reads: list[tuple[int, int, int]] = []
        stored = 0
        while contents.freed < total:
            reads = [(left - 1, line, word) for left, line, word in reads]
            if reads and reads[0][0] == 0:
                assert ctx.get(buffer.read.word) == reads.pop(0)[2]
            stored += (ctx.get(buffer.loaded) - stored) % modulus
            assert stored <= contents.complete
            freed = 0
            if stored > contents.freed and not stalls():
                line, part = draw.randrange(contents.freed, stored), draw.randrange(ring.factor)
                ctx.set(buffer.read.address, line % ring.lines * ring.factor + part)
                word = word_of(ring, contents.lines[line], part)
                reads.append((buffer.latency, line, word))
                # Nothing is freed before the buffer has been full once.
                if contents.most == ring.lines:
                    oldest = min(line for _, line, _ in reads)
                    freed = draw.randint(0, oldest - contents.freed)
            ctx.set(buffer.read.freed, freed)
            contents.freed += freed
            await ctx.tick()

    return bench


@pytest.mark.parametrize("share", [0.0, 0.5])
@pytest.mark.parametrize("ring", RINGS.values(), ids=RINGS)
def test_words_are_those_written(ring: Ring, share: float) -> None:
    buffer, contents = OperandBuffer(ring), Contents()
    total = 4 * ring.lines
    simulate(
        buffer,
        writer(buffer, contents, total, Stalls(share, 3)),
        reader(buffer, contents, total, Stalls(share, 4)),
    )
    assert contents.most == ring.lines
