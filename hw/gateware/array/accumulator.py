"""Accumulators of a PE, each with its register in the drain chain.

There are two forms:

- `accumulate` captures the sum at the adder's output, one cycle earlier. Its addends may be any
  terms that a carry cell can hold.
- `accumulate_from_register` captures the sum from the accumulator's register while the next sum
  starts. Nothing follows the adder, so nextpnr packs each register with its carry cell, which it
  does only where the cell drives nothing else. Restarting the sum takes one input of the carry
  cell, so addends have two signals per bit at most.
"""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from amaranth import Module, Mux, Signal, Value

from hw.gateware.lib.carry import ZERO, Chain, Term, bit
from hw.gateware.lib.delay import register

__all__ = ["ADDER_LATENCY", "REGISTER_LATENCY", "accumulate", "accumulate_from_register"]

ADDER_LATENCY = 1
"""Cycles from an addend with `last` to its captured sum (its lower part), in `accumulate`."""

REGISTER_LATENCY = 2
"""Cycles from an addend with `last` to its captured sum, in `accumulate_from_register`."""

_MAX_LOADS = 32
"""Most accumulator bits of a PE that one flag restarts; beyond it each accumulator has its own."""


def accumulate(
    m: Module,
    chain: Chain,
    *,
    name: str,
    addend: Sequence[Term],
    carry_in: Term,
    last: Value,
    drain_i: Value,
    split: int | None = None,
) -> Value:
    """Return the drain register of an accumulator that is captured at its adder's output.

    Formula, with total = acc + addend + carry_in mod 2^width:
        acc' = 0 if last else total
        drain' = total if last else drain_i

    Parameters:
        m: Module that gets the registers.
        chain: Carry chain that gets the adder.
        name: Suffix of the registers' names.
        addend: Terms, lowest bit first. Their number is the width of all values.
        carry_in: Bit to add.
        last: Flag of a tile's last addend. Its register must reset to 1: that clears `acc`, which
            has no reset of its own.
        drain_i: Drain register of the PE below.
        split: Lowest bit of the upper part of a two-part accumulator, whose adder, capture and
            drain are one cycle late; the carry between the parts is a register. None for one part.

    Latency: `ADDER_LATENCY`, one more for the upper part. Throughput: one addend per cycle.
    """
    accumulator = Signal(len(addend), name=f"acc_{name}", reset_less=True)
    captured = Signal(len(addend), name=f"captured_{name}", reset_less=True)
    augend = [bit(a) for a in accumulator]
    bounds = [0, len(addend)] if split is None else [0, split, len(addend)]
    parts = [slice(low, high) for low, high in pairwise(bounds)]
    for number, part in enumerate(parts):
        carries = int(part is not parts[-1])
        terms = list(addend[part])
        if number:
            terms = _delayed(m, name, terms)
            last = register(m, last, f"late_{name}", init=1)
        top = [ZERO] * carries
        total = chain.add(f"total_{name}_{number}", augend[part] + top, terms + top, carry_in)
        width = part.stop - part.start
        # Yosys maps this form of the clear to the flip-flops' synchronous reset, without a LUT.
        m.d.sync += [
            accumulator[part].eq(Mux(last, 0, total[:width])),
            captured[part].eq(Mux(last, total[:width], drain_i[part])),
        ]
        if carries:
            carry_in = bit(register(m, total[width], f"carry_{name}"))
    return captured


def accumulate_from_register(
    m: Module,
    platform: object,
    *,
    name: str,
    addend: Value,
    carry_in: Term | None,
    last: Value,
    drain_i: Value,
    loads: int,
    carry_out: bool = False,
) -> tuple[Value, Value]:
    """Return the drain register of an accumulator captured from its register, and its carry out.

    Formula, with first = last one cycle earlier:
        acc' = (0 if first else acc) + addend + carry_in mod 2^width
        drain' = acc if first else drain_i

    Parameters:
        m: Module that gets the registers and the adder.
        platform: Platform given to `elaborate`; on ECP5 the adder is made of carry cells.
        name: Suffix of the registers' names.
        addend: Value to add; its length is the width of all values.
        carry_in: Bit to add, or None for 0.
        last: Flag of a tile's last addend. Its register must reset to 1.
        drain_i: Drain register of the PE below.
        loads: Accumulator bits of the PE, which decide whether one flag can restart all.
        carry_out: Whether to return the adder's carry, combinational, as a value of one bit;
            otherwise it has no bits.

    Latency: `REGISTER_LATENCY`. Throughput: one addend per cycle.
    """
    width = len(addend)
    accumulator = Signal(width, name=f"acc_{name}", reset_less=True)
    captured = Signal(width, name=f"captured_{name}", reset_less=True)
    first = register(m, last, f"first_{name}", init=1)
    if getattr(platform, "family", None) == "ecp5":
        old = _gated(m, loads, last, first, accumulator)
        top = [ZERO] * int(carry_out)
        added = [bit(each) for each in addend]
        total = Chain(m, platform).add(f"total_{name}", old + top, added + top, carry_in)
    else:
        total = Signal(width + int(carry_out), name=f"total_{name}")
        m.d.comb += total.eq(
            _restarted(first, accumulator) + addend + (0 if carry_in is None else carry_in.value)
        )
    m.d.sync += [accumulator.eq(total[:width]), captured.eq(Mux(first, accumulator, drain_i))]
    return captured, total[width:]


def _gated(m: Module, loads: int, last: Value, first: Value, accumulator: Value) -> list[Term]:
    """Return the accumulator's bits, 0 for a tile's first addend, as terms of a carry cell."""
    if loads <= _MAX_LOADS:
        return [Term(lambda first, bit: ~first & bit, (first, bit)) for bit in accumulator]
    # A flag per accumulator, apart from the one that captures, halves the loads of each. It is
    # stored inverted, so that synthesis does not merge it with `first`.
    going_on = register(m, ~last, f"going_on_{len(accumulator)}", init=0)
    return [Term(lambda going_on, bit: going_on & bit, (going_on, bit)) for bit in accumulator]


def _restarted(first: Value, accumulator: Value) -> Value:
    """Return the accumulator, or 0 for a tile's first addend."""
    return Mux(first, 0, accumulator)


def _delayed(m: Module, name: str, terms: Sequence[Term]) -> list[Term]:
    """Return the same terms one cycle later."""
    values = {id(value): value for term in terms for value in term.inputs}
    registers = {key: register(m, value, f"delayed_{name}") for key, value in values.items()}
    return [
        replace(term, inputs=tuple(registers[id(value)] for value in term.inputs)) for term in terms
    ]
