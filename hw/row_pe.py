"""The processing element of linear codes without a multiplier: gated rows in adders."""

from collections.abc import Sequence

from amaranth import Cat, Module, Signal, Value
from amaranth.lib import data, wiring

from hw.carry import ZERO, Term, accumulate, add, bit, both, gated, inverted
from hw.config import Config
from hw.operands import CODE_WIDTH, magnitude_layout
from hw.pe import pe_members


class RowPE(wiring.Component):
    """acc += x * w; with tag.last the sum enters the drain chain and the next one starts from zero.

    Members, all as in `PE`, with x and w as sign and magnitude (`hw.operands`): 8-bit or two 4-bit codes
    each, so that -128 is no operand. For builds whose `product` is rows.

    |x| * |w| is the sum of |x| gated by each bit of |w|, three such rows by two adders between registers. The
    accumulator's adder inverts the product where signs differ and takes their difference as its carry.
    Piece-wise codes have a second accumulator; `region` gates what each of them adds.

    Latency `latency`, one set of operands per cycle, no flow control: x = 0 adds nothing.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(pe_members(config))

    @staticmethod
    def latency_of(config: Config) -> int:
        """`latency` of a PE of this build."""
        return 3 if config.w_lanes == 2 else 4

    @property
    def latency(self) -> int:
        """Cycles from operands at the inputs to their captured sums at `drain_o`."""
        return self.latency_of(self._config)

    def elaborate(self, platform: object) -> Module:
        config = self._config
        m = Module()
        x, w = _registered(m, self.x, "x"), _registered(m, self.w, "w")
        tag = Signal.like(self.tag_o)
        m.d.sync += tag.eq(self.tag)
        m.d.comb += [self.x_o.eq(x), self.w_o.eq(w), self.tag_o.eq(tag)]
        last = tag.last
        for stage in range(2, self.latency):
            last, previous = Signal(name=f"last_{stage}", init=1), last
            m.d.sync += last.eq(previous)

        products = [
            self._product(m, platform, f"{i}_{j}", a, b)
            for i, b in enumerate(_lanes(w, config.w_lanes))
            for j, a in enumerate(_lanes(x, config.x_lanes))
        ]
        if config.has_regions:
            products = self._by_region(m, *products)
        offset = 0
        for lane, (terms, negative) in enumerate(products):
            width = sum(config.lanes, ())[lane]
            addend = [inverted(term, negative) for term in terms]
            addend += [bit(negative)] * (width - len(addend))
            span = slice(offset, offset + width)
            sums = accumulate(m, platform, str(lane), addend, negative, last, self.drain_i[span])
            m.d.comb += self.drain_o[span].eq(sums)
            offset += width
        return m

    def _product(
        self, m: Module, platform: object, name: str, a: data.View, b: data.View
    ) -> tuple[list[Term], Value]:
        """The magnitude of a product, lowest bit first, and its sign."""
        x, w = a.magnitude, b.magnitude
        negative = _registered(m, a.negative ^ b.negative, f"negative_{name}")
        low = _three_rows(m, platform, f"{name}_low", x, w[:3])
        if len(w) == 3:
            return low, negative
        high = _three_rows(m, platform, f"{name}_high", x, w[3:6])
        x, top = _registered(m, x, f"x_{name}"), _registered(m, w[6], f"top_{name}")
        joined = add(m, platform, f"joined_{name}", _padded(low[3:], len(high)), high)
        upper = list(joined)[3:]
        rest = [both(x[j], top) for j in range(len(x))]
        total = add(m, platform, f"product_{name}", _padded([bit(u) for u in upper], 8), _padded(rest, 8))
        product = Cat(*(term.value for term in low[:3]), joined[:3], total)
        return (
            [bit(p) for p in _registered(m, product, f"p_{name}")],
            _registered(m, negative, f"sign_{name}"),
        )

    def _by_region(self, m: Module, product: tuple[list[Term], Value]) -> list[tuple[list[Term], Value]]:
        """The product for region 0, and for region 1."""
        region = self.region
        for stage in range(1, self.latency):
            region = _registered(m, region, f"region_{stage}")
            if stage == 1:
                m.d.comb += self.region_o.eq(region)
        terms, negative = product
        outer = [gated(term, region) for term in terms]
        inner = [
            Term(lambda r, *inputs, function=term.function: function(*inputs) & ~r, (region, *term.inputs))
            for term in terms
        ]
        return [(inner, negative), (outer, negative)]


def _three_rows(m: Module, platform: object, name: str, x: Value, w: Value) -> list[Term]:
    """|x| times three bits, one cycle later. The lowest bit is left to the adder that takes it."""
    bits = list(range(len(x)))
    first = add(
        m,
        platform,
        f"{name}_1",
        _padded([both(x[j], w[0]) for j in bits[1:]], len(x) + 1),
        _padded([both(x[j], w[1]) for j in bits], len(x) + 1),
    )
    second = add(
        m,
        platform,
        f"{name}_2",
        _padded([bit(first[j + 1]) for j in bits], len(x) + 1),
        _padded([both(x[j], w[2]) for j in bits], len(x) + 1),
    )
    lowest = both(_registered(m, x[0], f"{name}_x"), _registered(m, w[0], f"{name}_w"))
    return [lowest, *(bit(b) for b in _registered(m, Cat(first[0], second), name))]


def _lanes(operand: Value, count: int) -> list[data.View]:
    width = CODE_WIDTH // count
    return [data.View(magnitude_layout(width), operand[width * lane :][:width]) for lane in range(count)]


def _padded(terms: Sequence[Term], width: int) -> list[Term]:
    return [*terms, *[ZERO] * (width - len(terms))]


def _registered(m: Module, value: Value, name: str) -> Signal:
    register = Signal(len(value), name=name, reset_less=True)
    m.d.sync += register.eq(value)
    return register
