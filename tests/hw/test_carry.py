"""Adders in carry cells against the plain expression, proven with Yosys' model of the cell."""

import re

import pytest
from amaranth import Cat, Module, Signal
from amaranth.back import rtlil
from amaranth.hdl import Fragment
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.gateware.lib.carry import ZERO, Chain, Term, bit, both, either, gated, inverted, select
from hw.target import Target
from hw.tools.yosys import YosysError, run_yosys

OPERANDS = {
    "bit, bit": lambda u, v, a, b, c: (bit(u), bit(a)),
    "bit, row": lambda u, v, a, b, c: (bit(u), both(a, b)),
    "bit, inverted": lambda u, v, a, b, c: (bit(u), inverted(bit(a), c)),
    "bit, inverted row": lambda u, v, a, b, c: (bit(u), inverted(both(a, b), c)),
    "bit, multiplexer": lambda u, v, a, b, c: (bit(u), select(c, a, b)),
    "bit, gated and inverted": lambda u, v, a, b, c: (bit(u), inverted(gated(bit(a), b), c)),
    "bit, or": lambda u, v, a, b, c: (bit(u), Term(lambda a, b: a | b, (a, b))),
    "row, row": lambda u, v, a, b, c: (both(u, v), both(a, b)),
    "row, zero": lambda u, v, a, b, c: (both(u, v), ZERO),
    "zero, row": lambda u, v, a, b, c: (ZERO, both(a, b)),
}


class Adders(wiring.Component):
    """One sum for each kind of operands.

    Members: u, v, a, b In(width), c In(1), carry In(2), totals Out. The first `carries` bits of
    `carry` enter each adder, two of them as one term. A chain holds up to `longest` bits.
    """

    def __init__(self, *, width: int, carries: int = 0, longest: int = 0):
        self._width, self._carries, self._longest = width, carries, longest
        members = dict.fromkeys(("u", "v", "a", "b"), In(width)) | {"c": In(1), "carry": In(2)}
        super().__init__(members | {"totals": Out(width * len(OPERANDS))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        chain, totals = Chain(m, platform, longest=self._longest), []
        for number, operands in enumerate(OPERANDS.values()):
            bits = zip(self.u, self.v, self.a, self.b, strict=True)
            augend, addend = zip(*(operands(*position, self.c) for position in bits), strict=True)
            carry = (None, bit(self.carry[0]), either(self.carry[0], self.carry[1]))[self._carries]
            totals.append(chain.add(f"sum_{number}", augend, addend, carry))
        m.d.comb += self.totals.eq(Cat(totals))
        return m


def prove(first: Adders, second: Adders) -> None:
    """Raise YosysError unless both give the same totals; the second is made of ECP5's cells."""
    plain = rtlil.convert(first, name="plain", platform=Target("generic"), emit_src=False)
    cells = rtlil.convert(second, name="cells", platform=Target("ecp5"), emit_src=False)
    assert "CCU2C" in cells
    assert "CCU2C" not in plain
    script = [
        "read_rtlil cells.il",
        "read_verilog -overwrite +/ecp5/cells_sim.v",
        "hierarchy -check -top cells",
        "proc",
        "flatten",
        "read_rtlil plain.il",
        "miter -equiv -flatten plain cells miter",
        "sat -verify -prove trigger 0 miter",
    ]
    run_yosys("\n".join(script), inputs={"plain.il": plain, "cells.il": cells})


@pytest.mark.slow
@pytest.mark.parametrize("longest", [0, 10, 100])
@pytest.mark.parametrize("carries", [0, 1, 2])
@pytest.mark.parametrize("width", [1, 4, 7])
def test_cells_equal_the_plain_sum(width: int, carries: int, longest: int) -> None:
    sizes = {"width": width, "carries": carries, "longest": longest}
    prove(Adders(**sizes), Adders(**sizes))


def test_the_proof_can_fail() -> None:
    with pytest.raises(YosysError):
        prove(Adders(width=4, carries=1), Adders(width=4))


@pytest.mark.parametrize(
    ("width", "carries", "longest", "cells"),
    [
        (4, 0, 0, 10 * 2),
        (5, 0, 0, 10 * 3),
        (4, 1, 0, 10 * 2),
        (4, 0, 40, 2 + 9 * 3),
        (5, 0, 50, 10 * 3),
        (4, 1, 40, 2 + 9 * 3),
        (4, 1, 8, 5 * (2 + 3)),
        (5, 1, 50, 10 * 3),
        (4, 2, 0, 10 * 3),
        (5, 2, 0, 10 * 3),
    ],
)
def test_cells_used(width: int, carries: int, longest: int, cells: int) -> None:
    adders = Adders(width=width, carries=carries, longest=longest)
    text = rtlil.convert(adders, name="cells", platform=Target("ecp5"), emit_src=False)
    assert len(re.findall(r"cell \\CCU2C", text)) == cells


def test_a_cell_takes_four_inputs() -> None:
    a, b, c, d, e = (Signal(name=name) for name in "abcde")
    check_refused(
        both(a, b), select(c, d, e), "carry cell: expected terms of four inputs .*, got 5 inputs"
    )


def test_a_cell_that_would_generate_a_wrong_carry() -> None:
    a, b, c, d = (Signal(name=name) for name in "abcd")
    term = Term(lambda b, c, d: b | c | d, (b, c, d))
    check_refused(bit(a), term, "carry cell: expected terms .* that one cell can add, got 4 inputs")


def check_refused(augend: Term, addend: Term, message: str) -> None:
    m = Module()
    with pytest.raises(ValueError, match=message):
        Chain(m, Target("ecp5")).add("sum", [augend], [addend])
    # A module that nothing elaborates would raise a warning.
    Fragment.get(m, None)


def test_a_chain_of_less_than_no_bits() -> None:
    m = Module()
    with pytest.raises(ValueError, match=r"^longest: expected at least 0, got -1$"):
        Chain(m, None, longest=-1)
    Fragment.get(m, None)
