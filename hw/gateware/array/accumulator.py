"""The sum of a PE, and its place in the drain chain.

Two forms. Behind the adder (`accumulate`) the sum is captured as it is formed, which takes any
addend that a carry cell can hold. From its register (`accumulate_from_register`), a cycle later,
while the next sum starts beside it: nothing stands behind the adder, and place and route packs each
register with its carry cell, which it does only where the cell drives nothing else. That asks for
an input of the cell, and so for addends of two signals per bit at most.
"""

from collections.abc import Sequence
from dataclasses import replace

from amaranth import Module, Mux, Signal, Value

from hw.config import Config
from hw.gateware.lib.carry import ZERO, Chain, Term, bit

ADDER_LATENCY = 1
"""Cycles from an addend with `last` to its sum, captured behind the adder (its lowest part, where it has parts)."""

REGISTER_LATENCY = 2
"""Cycles from an addend with `last` to its sum, captured from its register."""

_MOST_LOADS = 32
"""Bits of sums that one flag may start anew. 100 of them held an array of wpw-a8 to 168 MHz."""


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

    Without `last` the returned register takes `drain_i`. All are of len(addend) bits. The register
    behind `last` needs the reset value 1: it clears the sum, which has no reset of its own. Where
    `config.parts` has a late part, it works and drains one cycle behind the other, the carry
    between them registered.

    Latency `ADDER_LATENCY`, one addend per cycle.
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
            last = _register(m, f"late_{name}", last, reset=1)
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


def accumulate_from_register(
    m: Module,
    config: Config,
    platform: object,
    name: str,
    addend: Value,
    carry_in: Term | None,
    last: Value,
    drain_i: Value,
    carries: bool = False,
) -> tuple[Value, Value]:
    """acc += addend + carry_in; a cycle after `last` acc goes to the returned register and starts from zero.

    In other cycles that register takes `drain_i`, of len(addend) bits as it is. Also returned is
    the carry out of the adder, where something `carries` it on. The register behind `last` needs
    the reset value 1.

    Latency `REGISTER_LATENCY`, one addend per cycle.
    """
    width = len(addend)
    accumulator = Signal(width, name=f"acc_{name}", reset_less=True)
    captured = Signal(width, name=f"captured_{name}", reset_less=True)
    first = _register(m, f"first_{name}", last, reset=1)
    if getattr(platform, "family", None) == "ecp5":
        old = _kept(m, config, last, first, accumulator)
        top = [ZERO] * int(carries)
        added = [bit(each) for each in addend]
        total = Chain(m, platform).add(f"total_{name}", old + top, added + top, carry_in)
    else:
        total = Signal(width + int(carries), name=f"total_{name}")
        m.d.comb += total.eq(
            _restarted(first, accumulator) + addend + (0 if carry_in is None else carry_in.value)
        )
    m.d.sync += [accumulator.eq(total[:width]), captured.eq(Mux(first, accumulator, drain_i))]
    return captured, total[width:]


def _kept(m: Module, config: Config, last: Value, first: Value, accumulator: Value) -> list[Term]:
    """The old sum, as terms that a tile's first product drops."""
    if config.sum_width <= _MOST_LOADS:
        return [Term(lambda first, bit: ~first & bit, (first, bit)) for bit in accumulator]
    # A flag of the adders' own halves the loads. As `first` inverted no tool takes it for a copy.
    going_on = _register(m, f"going_on_{len(accumulator)}", ~last, reset=0)
    return [Term(lambda going_on, bit: going_on & bit, (going_on, bit)) for bit in accumulator]


def _restarted(first: Value, accumulator: Value) -> Value:
    """What a tile's first product is added to."""
    return Mux(first, 0, accumulator)


def _register(m: Module, name: str, value: Value, reset: int | None = None) -> Signal:
    register = Signal(name=name, init=reset or 0, reset_less=reset is None)
    m.d.sync += register.eq(value)
    return register


def _delayed(m: Module, name: str, terms: Sequence[Term]) -> list[Term]:
    """The same terms one cycle later."""
    values = {id(value): value for term in terms for value in term.inputs}
    registers = {key: _register(m, f"delayed_{name}", value) for key, value in values.items()}
    return [
        replace(term, inputs=tuple(registers[id(value)] for value in term.inputs)) for term in terms
    ]
