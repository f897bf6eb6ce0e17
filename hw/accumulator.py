"""The sum of a PE without a multiplier, and its place in the drain chain."""

from collections.abc import Sequence
from dataclasses import replace

from amaranth import Cat, Module, Mux, Signal, Value

from hw.carry import ZERO, Chain, Term, bit
from hw.config import Config

LONGEST = 40
"""Bits of the longest sum that one carry chain forms in a cycle. 42 bits: 168.8 MHz at worst, 8 x 8."""


def accumulator_latency(config: Config) -> int:
    """Cycles from an addend to the sum with it in the drain chain."""
    return 1 if max(sum(config.lanes, ())) <= LONGEST else 2


def accumulate(
    m: Module,
    config: Config,
    chain: Chain,
    name: str,
    addend: Sequence[Term],
    carry_in: Value | None,
    last: Value,
    drain_i: Value,
) -> Signal:
    """acc += addend + carry_in; with `last` the sum goes to the returned register and acc starts from zero.

    Without `last` the returned register takes `drain_i`. All are of len(addend) bits. The register behind
    `last` needs the reset value 1: it clears the sum, which has no reset of its own. Where sums are longer than
    `LONGEST`, their upper half works one cycle behind the lower, which waits for it on the way out.

    Latency `accumulator_latency`, one addend per cycle.
    """
    width = len(addend)
    accumulator = Signal(width, name=f"acc_{name}", reset_less=True)
    captured = Signal(width, name=f"captured_{name}", reset_less=True)
    augend = [bit(a) for a in accumulator]
    if accumulator_latency(config) == 1:
        total: Value = chain.add(f"total_{name}", augend, addend, carry_in)
        # In this form the clear becomes the flip-flops' synchronous reset, which takes no LUT.
        m.d.sync += [accumulator.eq(Mux(last, 0, total)), captured.eq(Mux(last, total, drain_i))]
        return captured

    half = width // 2
    lower = chain.add(f"lower_{name}", [*augend[:half], ZERO], [*addend[:half], ZERO], carry_in)
    waiting = Signal(half, name=f"waiting_{name}", reset_less=True)
    carry = Signal(name=f"carry_{name}", reset_less=True)
    late = Signal(name=f"late_{name}", init=1)
    m.d.sync += [
        accumulator[:half].eq(Mux(last, 0, lower[:half])),
        waiting.eq(lower[:half]),
        carry.eq(lower[half]),
        late.eq(last),
    ]
    upper = chain.add(f"upper_{name}", augend[half:], _delayed(m, name, addend[half:]), carry)
    m.d.sync += [
        accumulator[half:].eq(Mux(late, 0, upper)),
        captured.eq(Mux(late, Cat(waiting, upper), drain_i)),
    ]
    return captured


def _delayed(m: Module, name: str, terms: Sequence[Term]) -> list[Term]:
    """The same terms one cycle later."""
    registers = {
        id(value): (value, Signal(name=f"delayed_{name}", reset_less=True))
        for term in terms
        for value in term.inputs
    }
    m.d.sync += [register.eq(value) for value, register in registers.values()]
    return [replace(term, inputs=tuple(registers[id(value)][1] for value in term.inputs)) for term in terms]
