"""The sum of a PE without a multiplier, and its place in the drain chain."""

from collections.abc import Sequence

from amaranth import Module, Mux, Signal, Value

from hw.carry import Chain, Term, bit
from hw.config import Config

LONGEST = 40
"""Bits of the longest sum that passes the carry chain and the drain's multiplexer in the same cycle."""


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
    `last` needs the reset value 1: it clears the sum, which has no reset of its own.

    Latency `accumulator_latency`, one addend per cycle.
    """
    width = len(addend)
    accumulator = Signal(width, name=f"acc_{name}", reset_less=True)
    captured = Signal(width, name=f"captured_{name}", reset_less=True)
    total = chain.add(f"total_{name}", [bit(a) for a in accumulator], addend, carry_in)
    # In this form the clear becomes the flip-flops' synchronous reset, which takes no LUT.
    m.d.sync += accumulator.eq(Mux(last, 0, total))
    if accumulator_latency(config) == 2:
        # 42 bits with the multiplexer behind them: 168.8 MHz at worst in an 8 x 8 array.
        held = Signal(width, name=f"held_{name}", reset_less=True)
        held_last = Signal(name=f"held_last_{name}")
        m.d.sync += [held.eq(total), held_last.eq(last)]
        total, last = held, held_last
    m.d.sync += captured.eq(Mux(last, total, drain_i))
    return captured
