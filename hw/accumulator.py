"""The sum of a PE without a multiplier, and its place in the drain chain."""

from collections.abc import Sequence
from dataclasses import replace

from amaranth import Module, Mux, Signal, Value

from hw.carry import ZERO, Chain, Term, bit
from hw.config import Config

ACCUMULATOR_LATENCY = 1
"""Cycles from an addend with `last` to its sum, captured (its lowest part, where it has parts)."""


def accumulate(
    m: Module,
    config: Config,
    chain: Chain,
    name: str,
    addend: Sequence[Term],
    carry_in: Term,
    last: Value,
    drain_i: Value,
) -> Value:
    """acc += addend + carry_in; with `last` the sum goes to the returned register and acc starts from zero.

    Without `last` the returned register takes `drain_i`. All are of len(addend) bits. The register behind
    `last` needs the reset value 1: it clears the sum, which has no reset of its own. Where `config.parts` has a
    late part, it works and drains one cycle behind the other, the carry between them registered.

    Latency `ACCUMULATOR_LATENCY`, one addend per cycle.
    """
    accumulator = Signal(len(addend), name=f"acc_{name}", reset_less=True)
    captured = Signal(len(addend), name=f"captured_{name}", reset_less=True)
    augend = [bit(a) for a in accumulator]
    parts = [slice(0, len(addend))]
    if config.staggered:
        split = config.parts[0][0]
        parts = [slice(0, split), slice(split, len(addend))]
    for number, part in enumerate(parts):
        carries = int(part is not parts[-1])
        terms = list(addend[part])
        if number:
            terms = _delayed(m, name, terms)
            last = _register(m, f"late_{name}", last, init=1)
        top = [ZERO] * carries
        total = chain.add(f"total_{name}_{number}", augend[part] + top, terms + top, carry_in)
        width = part.stop - part.start
        # In this form the clear becomes the flip-flops' synchronous reset, which takes no LUT.
        m.d.sync += [
            accumulator[part].eq(Mux(last, 0, total[:width])),
            captured[part].eq(Mux(last, total[:width], drain_i[part])),
        ]
        if carries:
            carry_in = bit(_register(m, f"carry_{name}", total[width]))
    return captured


def _register(m: Module, name: str, value: Value, init: int = 0) -> Signal:
    register = Signal(name=name, init=init, reset_less=not init)
    m.d.sync += register.eq(value)
    return register


def _delayed(m: Module, name: str, terms: Sequence[Term]) -> list[Term]:
    """The same terms one cycle later."""
    values = {id(value): value for term in terms for value in term.inputs}
    registers = {key: _register(m, f"delayed_{name}", value) for key, value in values.items()}
    return [replace(term, inputs=tuple(registers[id(value)] for value in term.inputs)) for term in terms]
