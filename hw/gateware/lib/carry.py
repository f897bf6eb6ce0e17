"""Adders whose operand bits are functions of several signals, in the carry cells of ECP5.

Bit i of an adder is u + v + carry, where u and v are functions of at most four signals together.
Half a CCU2C forms the sum bit LUT4(A, B, C, D) ^ carry. Its carry out is the carry in where LUT4
is 1, else LUT2(A, B), which equals LUT4 at C = D = 0 (Yosys' model, ecp5/cells_sim.v). So the gates
in front of an adder, such as a multiplier's partial products, a shifter's multiplexer or a
negation, fit into the carry cells. Yosys by itself maps them to look-up tables in front of it.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

from amaranth import C, Cat, Instance, Module, Signal, Value

__all__ = ["ZERO", "Chain", "Term", "bit", "both", "either", "gated", "inverted", "select"]


@dataclass(frozen=True, eq=False)
class Term:
    """One bit of an operand: a Boolean function of up to four one-bit values.

    Parameters:
        function: Function of `inputs` that uses only &, |, ^ and ~. It is applied to signals and,
            for the truth table, to the integers 0 and 1; of an integer result bit 0 is used.
        inputs: One-bit values.
    """

    function: Callable[..., Any]
    inputs: tuple[Value, ...]

    @property
    def value(self) -> Value:
        """The bit as an Amaranth expression."""
        return Value.cast(self.function(*self.inputs))[0]


ZERO = Term(lambda: 0, ())
"""The constant 0."""


def bit(a: Value) -> Term:
    """Return the term a."""
    return Term(lambda a: a, (a,))


def both(a: Value, b: Value) -> Term:
    """Return the term a & b."""
    return Term(lambda a, b: a & b, (a, b))


def either(a: Value, b: Value) -> Term:
    """Return the term a | b."""
    return Term(lambda a, b: a | b, (a, b))


def select(s: Value, a: Value, b: Value) -> Term:
    """Return the term `a` where `s` is 1, else `b`."""
    return Term(lambda s, a, b: (s & a) | (~s & b), (s, a, b))


def inverted(term: Term, s: Value) -> Term:
    """Return term ^ s."""
    return Term(lambda s, *inputs: term.function(*inputs) ^ s, (s, *term.inputs))


def gated(term: Term, s: Value) -> Term:
    """Return term & s."""
    return Term(lambda s, *inputs: term.function(*inputs) & s, (s, *term.inputs))


class Chain:
    """Factory of adders in one module; on ECP5 in shared chains of CCU2C.

    The ends of a carry chain cost two cells (4 look-up tables) in nextpnr, so adders share a chain.
    Static timing analysis follows the carry through all adders of a chain, although none passes
    from one adder to the next, so long chains report a low frequency.

    Parameters:
        m: Module that gets the adders.
        platform: Platform given to `elaborate`. With `family` "ecp5" the adders are CCU2C cells,
            otherwise the operator +.
        longest: Bits that adders of one chain have together at most; a wider adder has a chain
            of its own. With 0 every adder has one.

    Raises:
        ValueError: `longest` is negative.
    """

    def __init__(self, m: Module, platform: object, *, longest: int = 0) -> None:
        if longest < 0:
            raise ValueError(f"longest: expected at least 0, got {longest!r}")
        self._m = m
        self._cells = getattr(platform, "family", None) == "ecp5"
        self._longest = longest
        self._bits = 0
        self._carry: Value = C(0, 1)
        self._pending = False

    def add(
        self,
        name: str,
        augend: Sequence[Term],
        addend: Sequence[Term],
        carry_in: Term | None = None,
    ) -> Signal:
        """Return (augend + addend + carry_in) mod 2^width, combinational.

        On ECP5 an adder takes ceil(width / 2) cells. A carry of two inputs, or one into an adder
        that is not the first of its chain, makes it ceil((width + 1) / 2).

        Parameters:
            name: Name of the sum, and prefix of the cells' names.
            augend: First operand, `width` terms, lowest bit first.
            addend: Second operand, as many terms.
            carry_in: Bit to add, or None for 0.

        Raises:
            ValueError: The operands differ in width, or, on ECP5, a cell cannot hold the two terms
                of one bit.
        """
        total = Signal(len(augend), name=name)
        pairs = list(zip(augend, addend, strict=True))
        if not self._cells:
            u, v = (Cat(*(term.value for term in operand)) for operand in (augend, addend))
            self._m.d.comb += total.eq(u + v + (0 if carry_in is None else carry_in.value))
            return total
        lowest = 0
        self._bits += len(total)
        begins = self._bits == len(total) or self._bits > self._longest
        if begins:
            self._carry, self._bits = C(0, 1), len(total)
        if begins and carry_in is not None and len(carry_in.inputs) == 1:
            self._carry = carry_in.value
        elif carry_in is not None:
            # Adding a bit to itself makes that bit the carry, whatever carry enters.
            pairs.insert(0, (carry_in, carry_in))
            lowest = 1
        elif self._pending and not begins:
            pairs[:0] = [(ZERO, ZERO)] * 2
            lowest = 2
        pairs += [(ZERO, ZERO)] * (len(pairs) % 2)
        self._pending = pairs[-1] != (ZERO, ZERO)
        sums = Signal(len(pairs), name=f"{name}_sums")
        for low in range(0, len(pairs), 2):
            self._place(f"{name}_{low}", pairs[low : low + 2], sums[low : low + 2])
        self._m.d.comb += total.eq(sums[lowest:])
        return total

    def _place(self, name: str, pairs: Sequence[tuple[Term, Term]], sums: Value) -> None:
        """Instantiate one cell, which adds two bits of the operands."""
        ports: dict[str, Any] = {}
        for half, pair in enumerate(pairs):
            pins, table = _cell(*pair)
            ports |= {f"i_{pin}{half}": value for pin, value in zip("ABCD", pins, strict=True)}
            ports |= {
                f"p_INIT{half}": C(table, 16),
                f"p_INJECT1_{half}": "NO",
                f"o_S{half}": sums[half],
            }
        carry_out = Signal(name=f"{name}_carry")
        self._m.submodules[name] = Instance("CCU2C", i_CIN=self._carry, o_COUT=carry_out, **ports)
        self._carry = carry_out


def _cell(u: Term, v: Term) -> tuple[tuple[Value, ...], int]:
    """Return the values of the pins A, B, C, D and the truth table of half a cell."""
    inputs = {id(value): value for value in (*u.inputs, *v.inputs)}
    if len(inputs) <= 4:
        for order in permutations([*inputs, *[None] * (4 - len(inputs))]):
            table = _table(u, v, order)
            if table is not None:
                return tuple(C(1, 1) if key is None else inputs[key] for key in order), table
    raise ValueError(
        f"carry cell: expected terms of four inputs that one cell can add, got {len(inputs)} inputs"
    )


def _table(u: Term, v: Term, order: Sequence[int | None]) -> int | None:
    """Return the truth table for these inputs on A, B, C, D, or None if the cell has none.

    `order` holds the inputs' keys; None is a pin tied to 1.
    """
    entries: dict[int, int] = {}
    generate: dict[int, int] = {}
    for levels in product((0, 1), repeat=4):
        if any(key is None and not level for key, level in zip(order, levels, strict=True)):
            continue
        known = dict(zip(order, levels, strict=True))
        a, b = (term.function(*(known[id(value)] for value in term.inputs)) & 1 for term in (u, v))
        index = sum(level << position for position, level in enumerate(levels))
        entries[index] = a ^ b
        if a == b and generate.setdefault(index & 3, a) != a:
            return None
    # LUT2 shares its entries with LUT4: both must agree where the inputs reach them.
    if any(entries.setdefault(index, level) != level for index, level in generate.items()):
        return None
    return sum(level << index for index, level in entries.items())
