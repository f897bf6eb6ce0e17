"""The processing element of linear codes without a multiplier: gated rows in adders."""

from collections.abc import Sequence

from amaranth import Cat, Module, Signal, Value
from amaranth.lib import data, wiring

from hw.config import Config
from hw.gateware.array.accumulator import ADDER_LATENCY, accumulate
from hw.gateware.array.pe import pe_members, tag_layout
from hw.gateware.lib.carry import ZERO, Chain, Term, bit, both, gated, inverted
from hw.operands import CODE_WIDTH, magnitude_layout

LONGEST_SUMS = 40
"""Bits of accumulators that share a carry chain."""

LONGEST_ROWS = 8
"""Bits of rows that share a carry chain: with 24 and 32, w8a8 ran at 172 and 173 MHz instead of 183."""


class RowPE(wiring.Component):
    """acc += x * w; with tag.last the sum enters the drain chain and the next one starts from zero.

    Members, all as in `PE`, with x and w as sign and magnitude (`hw.operands`): 8-bit or two 4-bit
    codes each, so that -128 is no operand. For builds whose `product` is rows.

    |x| * |w| is the sum of |x| gated by each bit of |w|, three such rows by two adders between
    registers. The accumulator's adder inverts the product where signs differ and takes their
    difference as its carry. Piece-wise codes have a second accumulator; `region` gates what each of
    them adds.

    Latency `latency`, one set of operands per cycle, no flow control: x = 0 adds nothing.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(pe_members(config))

    @staticmethod
    def latency_of(config: Config) -> int:
        """`latency` of a PE of this build."""
        return addend_latency(config) + ADDER_LATENCY

    @property
    def latency(self) -> int:
        """Cycles from operands at the inputs to their captured sums at `drain_o`."""
        return self.latency_of(self._config)

    def elaborate(self, platform: object) -> Module:
        config = self._config
        m = Module()
        x, w = _registered(m, self.x, "x"), _registered(m, self.w, "w")
        tag = Signal(tag_layout(config), init={"last": 1})
        m.d.sync += tag.eq(self.tag)
        m.d.comb += [self.x_o.eq(x), self.w_o.eq(w), self.tag_o.eq(tag)]
        last = tag.last
        for stage in range(1, addend_latency(config)):
            last, previous = Signal(name=f"last_{stage}", init=1), last
            m.d.sync += last.eq(previous)

        names = [f"{i}_{j}" for i in range(config.w_lanes) for j in range(config.x_lanes)]
        factors = [(a, b) for b in _lanes(w, config.w_lanes) for a in _lanes(x, config.x_lanes)]
        products = self._products(m, platform, names, factors)
        if config.has_regions:
            products = self._by_region(m, *products)
        offset = 0
        chain = Chain(m, platform, longest=LONGEST_SUMS)
        for (terms, negative), width, name in zip(
            products, sum(config.lanes, ()), "0123", strict=False
        ):
            addend = [inverted(term, negative) for term in terms]
            addend += [bit(negative)] * (width - len(addend))
            span = slice(offset, offset + width)
            sums = accumulate(
                m, config, chain, name, addend, bit(negative), last, self.drain_i[span]
            )
            m.d.comb += self.drain_o[span].eq(sums)
            offset += width
        return m

    def _products(
        self,
        m: Module,
        platform: object,
        names: list[str],
        factors: list[tuple[data.View, data.View]],
    ) -> list[tuple[list[Term], Value]]:
        """Magnitude, lowest bit first, and sign of each product."""
        chain = Chain(m, platform, longest=LONGEST_ROWS)
        signs: list[Value] = [
            _registered(m, a.negative ^ b.negative, f"negative_{name}")
            for name, (a, b) in zip(names, factors, strict=True)
        ]
        if self._config.w_lanes == 2:
            sums = _three_rows(m, chain, names, [(a.magnitude, b.magnitude) for a, b in factors])
            return list(zip(sums, signs, strict=True))
        (x, w), (negative,) = (factor.magnitude for factor in factors[0]), signs
        low, high = _three_rows(m, chain, ["low", "high"], [(x, w[:3]), (x, w[3:6])])
        x, top = _registered(m, x, "multiplicand"), _registered(m, w[6], "top")
        chain = Chain(m, platform, longest=LONGEST_SUMS)
        joined = chain.add("joined", _padded(low[3:], len(high)), high)
        upper, row = [bit(u) for u in joined[3:]], [both(x[j], top) for j in range(len(x))]
        total = chain.add("magnitude", _padded(upper, len(x) + 1), _padded(row, len(x) + 1))
        product = _registered(
            m, Cat(*(term.value for term in low[:3]), joined[:3], total), "product"
        )
        return [([bit(p) for p in product], _registered(m, negative, "sign"))]

    def _by_region(
        self, m: Module, product: tuple[list[Term], Value]
    ) -> list[tuple[list[Term], Value]]:
        """The product for region 0, and for region 1."""
        region = self.region
        for stage in range(1, addend_latency(self._config) + 1):
            region = _registered(m, region, f"region_{stage}")
            if stage == 1:
                m.d.comb += self.region_o.eq(region)
        terms, negative = product
        outer = [gated(term, region) for term in terms]
        inner = [
            Term(
                lambda r, *inputs, function=term.function: function(*inputs) & ~r,
                (region, *term.inputs),
            )
            for term in terms
        ]
        return [(inner, negative), (outer, negative)]


def addend_latency(config: Config) -> int:
    """Cycles from operands at the inputs to their product."""
    return 2 if config.w_lanes == 2 else 3


def _three_rows(
    m: Module, chain: Chain, names: Sequence[str], factors: Sequence[tuple[Value, Value]]
) -> list[list[Term]]:
    """For each x, and w of three bits, x * w one cycle later.

    The lowest bit is left to the adder that takes it. All first adders stand before the second
    ones, so that no path seems to pass through three of them.
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
        lowest = both(
            _registered(m, x[0], f"lowest_x_{name}"), _registered(m, w[0], f"lowest_w_{name}")
        )
        rest = _registered(m, Cat(first[0], second), f"rows_{name}")
        products.append([lowest, *(bit(r) for r in rest)])
    return products


def _lanes(operand: Value, count: int) -> list[data.View]:
    width = CODE_WIDTH // count
    return [
        data.View(magnitude_layout(width), operand[width * lane :][:width]) for lane in range(count)
    ]


def _padded(terms: Sequence[Term], width: int) -> list[Term]:
    return [*terms, *[ZERO] * (width - len(terms))]


def _registered(m: Module, value: Value, name: str) -> Signal:
    register = Signal(len(value), name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return register
