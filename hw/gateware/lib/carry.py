"""Adders whose operand bits are small functions: on ECP5 the carry cells compute those too.

A position of an adder is u + v + carry, where u and v are functions of at most four signals
together. A half of a CCU2C forms LUT4(A, B, C, D) ^ carry as its sum and passes `carry` on where
LUT4 is 1, else LUT2(A, B), which is LUT4 at C = D = 0 (Yosys' model, ecp5/cells_sim.v). So the
gates that a multiplier's row, a shifter's multiplexer or a negation would take in front of an adder
cost nothing inside it. Yosys leaves them outside.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import permutations, product
from typing import Any

from amaranth import C, Cat, Instance, Module, Signal, Value


@dataclass(frozen=True, eq=False)
class Term:
    """One bit: `function` of the one-bit values `inputs`.

    The function uses &, |, ^ and ~ alone, so that it applies to signals and to the integers 0 and 1
    of a truth table alike; of an integer result the lowest bit counts.
    """

    function: Callable[..., Any]
    inputs: tuple[Value, ...]

    @property
    def value(self) -> Value:
        """The bit as an expression."""
        return Value.cast(self.function(*self.inputs))[0]


ZERO = Term(lambda: 0, ())


def bit(a: Value) -> Term:
    """a"""
    return Term(lambda a: a, (a,))


def both(a: Value, b: Value) -> Term:
    """a & b"""
    return Term(lambda a, b: a & b, (a, b))


def either(a: Value, b: Value) -> Term:
    """a | b"""
    return Term(lambda a, b: a | b, (a, b))


def select(s: Value, a: Value, b: Value) -> Term:
    """a if s else b"""
    return Term(lambda s, a, b: (s & a) | (~s & b), (s, a, b))


def inverted(term: Term, s: Value) -> Term:
    """term ^ s"""
    return Term(lambda s, *inputs: term.function(*inputs) ^ s, (s, *term.inputs))


def gated(term: Term, s: Value) -> Term:
    """term & s"""
    return Term(lambda s, *inputs: term.function(*inputs) & s, (s, *term.inputs))


class Chain:
    """Adders of `m`, on ECP5 in chains of CCU2C that hold several up to `longest` bits together.

    Place and route spends two cells (4 LUTs) on the ends of every chain, so adders share them. But
    static timing follows the carry from one adder to the next, though none passes, so long chains
    look slow.
    """

    def __init__(self, m: Module, platform: object, longest: int = 0) -> None:
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
        """(augend + addend + carry_in) mod 2^width, of two operands of `width` terms each, lowest first.

        Combinational. On ECP5 ceil(width / 2) cells, or ceil((width + 1) / 2) with a carry into
        other than a chain's first adder, or one of two inputs. Raises ValueError there if a cell
        cannot hold the two terms of a position.
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
            # A position that adds a bit to itself passes it on as its carry, whatever carry enters.
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
        """One cell, two positions."""
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
    """What to connect to A, B, C, D, and the truth table, of a half cell that adds two terms."""
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
    """The table with these inputs on A, B, C, D, None for a pin tied to 1; None if there is none."""
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
    # What LUT2 has to be may stand where LUT4 cannot reach, but must not differ where it can.
    if any(entries.setdefault(index, level) != level for index, level in generate.items()):
        return None
    return sum(level << index for index, level in entries.items())
