"""Processing element of linear and piece-wise codes without a multiplier."""

from collections.abc import Sequence

from amaranth import Cat, Module, Value
from amaranth.lib import data, wiring

from hw.config import Config
from hw.gateware.array.accumulator import ADDER_LATENCY, accumulate
from hw.gateware.array.mesh import Operands, forwarded, pe_signature
from hw.gateware.lib.carry import ZERO, Chain, Term, bit, both, gated, inverted
from hw.gateware.lib.delay import register
from hw.operands import CODE_WIDTH, magnitude_layout
from hw.target import kept_apart

__all__ = ["RowPE"]

LONGEST_SUMS = 40
"""Bits of accumulators that share a carry chain."""

LONGEST_ROWS = 8
"""Bits of partial products that share a carry chain; longer chains lower the frequency of w8a8."""


@kept_apart
class RowPE(wiring.Component):
    """Multiply-accumulate unit of gated rows, for builds whose `product` is `Product.ROWS`.

    Formula: acc' = acc + x * w. With `tag.last` the sum enters the drain chain and the next sum
    starts from 0.

    |x| * |w| is the sum of |x| gated by each bit of |w|: two adders sum three such rows between
    registers. Where the signs differ, the accumulator's adder inverts the product and adds 1 as its
    carry. Piece-wise codes have a second accumulator; `region` gates the addend of each.

    Parameters:
        config: Build, which gives the widths and the modes.

    Members: `pe_signature`, with x and w as sign and magnitude (`hw.operands`) of one 8-bit or two
    4-bit codes, so -128 is no operand.

    Latency: `latency`. Throughput: one pair of operands per cycle, without flow control; x = 0 adds
    nothing. A reset of one cycle clears all sums.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(pe_signature(config))

    @staticmethod
    def latency_of(config: Config) -> int:
        """Return the `latency` of a PE of this build."""
        return _product_latency(config) + ADDER_LATENCY

    @property
    def latency(self) -> int:
        """Cycles from operands with `last` to their sums at `drain_o`."""
        return self.latency_of(self._config)

    def elaborate(self, platform: object) -> Module:
        config = self._config
        m = Module()
        operands = forwarded(m, config, self)
        last = operands.tag.last
        for stage in range(1, _product_latency(config)):
            last = register(m, last, f"last_{stage}", init=1)

        products = self._products(m, platform, operands)
        if config.has_regions:
            products = self._by_region(m, products[0], operands.region)
        offset = 0
        chain = Chain(m, platform, longest=LONGEST_SUMS)
        widths = [width for half in config.lanes for width in half]
        for number, ((terms, negative), width) in enumerate(zip(products, widths, strict=False)):
            addend = [inverted(term, negative) for term in terms]
            addend += [bit(negative)] * (width - len(addend))
            span = slice(offset, offset + width)
            sums = accumulate(
                m,
                chain,
                name=str(number),
                addend=addend,
                carry_in=bit(negative),
                last=last,
                drain_i=self.drain_i[span],
            )
            m.d.comb += self.drain_o[span].eq(sums)
            offset += width
        return m

    def _products(
        self, m: Module, platform: object, operands: Operands
    ) -> list[tuple[list[Term], Value]]:
        """Return the magnitude, lowest bit first, and the sign of each product."""
        config = self._config
        names = [f"{i}_{j}" for i in range(config.w_lanes) for j in range(config.x_lanes)]
        xs, ws = _codes(operands.x, config.x_lanes), _codes(operands.w, config.w_lanes)
        factors = [(x, w) for w in ws for x in xs]
        chain = Chain(m, platform, longest=LONGEST_ROWS)
        signs: list[Value] = [
            register(m, a.negative ^ b.negative, f"negative_{name}")
            for name, (a, b) in zip(names, factors, strict=True)
        ]
        if config.w_lanes == 2:
            sums = _three_rows(m, chain, names, [(a.magnitude, b.magnitude) for a, b in factors])
            return list(zip(sums, signs, strict=True))
        (x, w), (negative,) = (factor.magnitude for factor in factors[0]), signs
        low, high = _three_rows(m, chain, ["low", "high"], [(x, w[:3]), (x, w[3:6])])
        x, top = register(m, x, "multiplicand"), register(m, w[6], "top")
        chain = Chain(m, platform, longest=LONGEST_SUMS)
        joined = chain.add("joined", _padded(low[3:], len(high)), high)
        upper, row = [bit(u) for u in joined[3:]], [both(x[j], top) for j in range(len(x))]
        total = chain.add("magnitude", _padded(upper, len(x) + 1), _padded(row, len(x) + 1))
        product = register(m, Cat(*(term.value for term in low[:3]), joined[:3], total), "product")
        return [([bit(p) for p in product], register(m, negative, "sign"))]

    def _by_region(
        self, m: Module, product: tuple[list[Term], Value], region: Value
    ) -> list[tuple[list[Term], Value]]:
        """Return the product for region 1 or 0, and for region 2 or 0."""
        for stage in range(2, _product_latency(self._config) + 1):
            region = register(m, region, f"region_{stage}")
        terms, negative = product
        outer = [gated(term, region) for term in terms]
        inner = [_gated_off(term, region) for term in terms]
        return [(inner, negative), (outer, negative)]


def _product_latency(config: Config) -> int:
    """Return the cycles from operands at the ports to their product."""
    return 2 if config.w_lanes == 2 else 3


def _three_rows(
    m: Module, chain: Chain, names: Sequence[str], factors: Sequence[tuple[Value, Value]]
) -> list[list[Term]]:
    """Return x * w one cycle later, for each pair of an x and a w of three bits.

    Bit 0 is a gate in the next adder. All first adders precede the second ones in the chains, so
    that static timing analysis finds no path through three adders.
    """
    width = len(factors[0][0]) + 1
    firsts = [
        chain.add(
            f"first_{name}",
            _padded([both(a, w[0]) for a in x[1:]], width),
            _padded([both(a, w[1]) for a in x], width),
        )
        for name, (x, w) in zip(names, factors, strict=True)
    ]
    products = []
    for name, (x, w), first in zip(names, factors, firsts, strict=True):
        upper, row = [bit(f) for f in first[1:]], [both(a, w[2]) for a in x]
        second = chain.add(f"second_{name}", _padded(upper, width), _padded(row, width))
        lowest = both(register(m, x[0], f"lowest_x_{name}"), register(m, w[0], f"lowest_w_{name}"))
        rest = register(m, Cat(first[0], second), f"rows_{name}")
        products.append([lowest, *(bit(r) for r in rest)])
    return products


def _gated_off(term: Term, s: Value) -> Term:
    """Return term & ~s."""
    return Term(lambda s, *inputs: term.function(*inputs) & ~s, (s, *term.inputs))


def _codes(operand: Value, count: int) -> list[data.View]:
    """Return the codes of an operand, each as sign and magnitude."""
    width = CODE_WIDTH // count
    return [
        data.View(magnitude_layout(width), operand[width * index :][:width])
        for index in range(count)
    ]


def _padded(terms: Sequence[Term], width: int) -> list[Term]:
    """Return the terms with zeros above them."""
    return [*terms, *[ZERO] * (width - len(terms))]
