"""The processing element: multiply, accumulate, and pass on."""

from amaranth import C, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.carry import ZERO, Chain, Term, bit, either
from hw.config import Config
from hw.multiplier import Multiplier
from hw.operands import W_PITCH, X_PITCH
from hw.target import place


def tag_layout(config: Config) -> data.StructLayout:
    """What travels with x: the tile's `last` operands, and how the product splits where a build has a choice."""
    fields = {"last": 1}
    if config.has_pair and (config.has_full or config.has_quad):
        fields["pair"] = 1
    if config.has_quad and (config.has_full or config.has_pair):
        fields["quad"] = 1
    return data.StructLayout(fields)


def has_addend_stage(config: Config) -> bool:
    """Whether the parts of a product are registered before they are added.

    Where the mode selects them, and always behind a DSP block: blocks stand in a few rows of the part, so a
    product's way to its adder takes up to a cycle of its own.
    """
    return config.dsp or len(tag_layout(config).members) > 1 or config.has_regions


def product_stages(config: Config) -> int:
    """Registers between the multiplier and the choice of what its product means, where there is a choice.

    Blocks stand far from half of the PEs they serve: 5.8 ns of wire before a multiplexer held an 8 x 8 array of
    all modes to 133 MHz.
    """
    return int(len(tag_layout(config).members) > 1)


def pe_members(config: Config) -> dict[str, wiring.Member]:
    """The ports that a PE of any kind has; `PE` says what they mean."""
    members: dict[str, wiring.Member] = {
        "x": In(signed(config.x_width)),
        "x_o": Out(signed(config.x_width)),
        "tag": In(tag_layout(config)),
        "tag_o": Out(tag_layout(config)),
        "w": In(signed(config.w_width)),
        "w_o": Out(signed(config.w_width)),
        "drain_i": In(config.sum_width),
        "drain_o": Out(config.sum_width),
    }
    if config.has_regions:
        members |= {"region": In(1), "region_o": Out(1)}
    return members


class PE(wiring.Component):
    """acc += x * w; with tag.last the sum enters the drain chain and the next one starts from zero.

    Members (widths from the build's `Config`):
      x In(signed), tag In(tag_layout)      from the left, at x_o and tag_o to the right one cycle later
      w In(signed), region In(1)            from above, at w_o and region_o below one cycle later;
                                            region 1 adds to the upper half (builds with piece-wise codes only)
      drain_i In, drain_o Out(sum_width)    the drain chain, one PE per cycle

    A product p splits as the tag says: whole, into the lower half; `pair`, into p[0:14] and p[14:], one per
    half; `quad`, into four fields of 7 bits, one per lane. A field above another is one too small when the bits
    below it are negative, so their sign bit enters as its carry (the correction of White, "DSP packing").

    Where halves are split and also used whole, the upper lane works one cycle behind the lower, its carry
    registered, and its part of drain_o is one cycle late.

    Latency `latency`, one set of operands per cycle, no flow control: zero operands add nothing. A reset of
    one cycle clears every sum: `last` of each stage resets to 1, so what is in flight enters none.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(pe_members(config))

    @staticmethod
    def latency_of(config: Config) -> int:
        """`latency` of a PE of this build."""
        return Multiplier.latency + product_stages(config) + int(has_addend_stage(config)) + 2

    @property
    def latency(self) -> int:
        """Cycles from operands at the inputs to their captured sums at `drain_o` (lowest lanes)."""
        return self.latency_of(self._config)

    def elaborate(self, platform: object) -> Module:
        config = self._config
        m = Module()
        operands = config.x_width, config.w_width
        multiplier = place(m, "multiplier", "multiplier", lambda: Multiplier(*operands), platform)
        x = Signal.like(self.x_o, reset_less=True)
        w = Signal.like(self.w_o, reset_less=True)
        m.d.sync += [x.eq(self.x), w.eq(self.w)]
        m.d.comb += [multiplier.x.eq(self.x), multiplier.w.eq(self.w), self.x_o.eq(x), self.w_o.eq(w)]

        tag, previous = self.tag, self.tag
        region: Value = self.region if config.has_regions else C(0)
        outer = region
        for stage in range(Multiplier.latency + product_stages(config)):
            # Reset as if a tile ended in every cycle: operands in flight at a reset enter no sum.
            previous, tag = tag, Signal(tag_layout(config), name=f"tag_{stage + 1}", init={"last": 1})
            outer, region = region, _registered(m, region, f"region_{stage + 1}")
            m.d.sync += tag.eq(previous)
            if stage == 0:
                m.d.comb += self.tag_o.eq(tag)
                if config.has_regions:
                    m.d.comb += self.region_o.eq(region)

        product = multiplier.p
        for _ in range(product_stages(config)):
            product = _registered(m, product, "product", reset_less=True)
        lower, upper = self._addends(m, product, tag, previous)
        if config.has_regions:
            # Of a piece-wise product one half takes nothing, by its registers' reset: no gate, and a wire of its own.
            packed = self._packed(previous)
            inner = _registered(m, ~(outer | packed), "inner")
            lower[0], upper[0] = Mux(region, 0, lower[0]), Mux(inner, 0, upper[0])
        last = tag.last
        quad = tag.quad if config.joined else None
        if has_addend_stage(config):
            lower = [_registered(m, part, "lower", reset_less=True) for part in lower]
            upper = [_registered(m, part, "upper", reset_less=True) for part in upper]
            last = _registered(m, last, "last_addend", init=1)
            quad = _registered(m, quad, "quad_addend") if quad is not None else None

        offset = 0
        overflow = Value.cast(0)
        for widths, (addend, *carries) in zip(config.lanes, (lower, upper), strict=False):
            for lane, (width, carry) in enumerate(zip(widths, carries, strict=False)):
                part = addend[sum(widths[:lane]) :][:width]
                span = slice(offset, offset + width)
                if lane == 1 and config.joined:
                    part = _registered(m, part, "late_addend", reset_less=True)
                    # Straight from the chain into its register: a gate in between held an array to 162 MHz.
                    overflow = _registered(m, Mux(quad, 0, overflow), "late_overflow", reset_less=True)
                    carry = _registered(m, carry & quad, "late_carry", reset_less=True)
                    late = _registered(m, last, "late_last", init=1)
                    self._accumulate(m, platform, part, either(carry, overflow), late, span, False)
                else:
                    carry_in = None if isinstance(carry, Const) else bit(carry)
                    overflow = self._accumulate(m, platform, part, carry_in, last, span, config.joined)
                offset += width
        return m

    def _packed(self, tag: data.View) -> Value:
        """Whether a product holds several, where the tag tells."""
        fields = [tag[name] for name in ("pair", "quad") if name in tag.shape().members]
        return Cat(*fields).any() if fields else C(0)

    def _addends(
        self, m: Module, p: Value, tag: data.View, previous: data.View
    ) -> tuple[list[Value], list[Value]]:
        """What the halves add: [addend of the half's width, carry into its low lane, carry into its high lane].

        `tag` goes with p, `previous` with the p that follows.
        """
        config = self._config
        quad = config.has_quad
        halves = [sum(widths) for widths in (*config.lanes, (), ())][:2]
        split = [widths[0] if widths else 0 for widths in (*config.lanes, (), ())][:2]

        def fields(half: int) -> Value:
            base = 2 * X_PITCH * half
            low, high = p[base : base + X_PITCH], p[base + X_PITCH : base + 2 * X_PITCH]
            return Cat(_extended(low, split[half]), _extended(high, halves[half] - split[half]))

        choices: list[tuple[str, Value, Value]] = []
        if quad:
            choices.append(("quad", fields(0), fields(1)))
        if config.has_pair:
            choices.append(("pair", _extended(p[:W_PITCH], halves[0]), _extended(p[W_PITCH:], halves[1])))
        if config.has_full:
            choices.append(("full", _extended(p, halves[0]), _extended(p, halves[1])))
        lower, upper = choices[-1][1:]
        for name, low, high in reversed(choices[:-1]):
            # A flag for each half, whose adders stand apart: inverted, or tools would make one of them.
            other = _registered(m, ~previous[name], f"not_{name}", init=1)
            lower = Mux(tag[name], low, lower)[: halves[0]]
            upper = Mux(other, upper, high)[: halves[1]]

        packed = Value.cast(1)
        if config.has_full and (config.has_pair or quad):
            packed = self._packed(tag)
        carry = (
            p[W_PITCH - 1] & packed if len(config.lanes) == 2 and (config.has_pair or quad) else Value.cast(0)
        )
        if quad:
            return (
                [lower, Value.cast(0), p[X_PITCH - 1]],
                [upper, carry, p[3 * X_PITCH - 1]],
            )
        return [lower, Value.cast(0)], [upper, carry]

    def _accumulate(
        self,
        m: Module,
        platform: object,
        addend: Value,
        carry_in: Term | None,
        last: Value,
        span: slice,
        carries: bool,
    ) -> Value:
        """One lane; returns its carry out where something `carries` it on."""
        width = span.stop - span.start
        accumulator = Signal(width, name=f"acc_{span.start}", reset_less=True)
        captured = Signal(width, name=f"captured_{span.start}", reset_less=True)
        # A sum leaves from its register, a cycle after it is complete, when the next one starts: behind the adder
        # there is nothing, and before it the gate that drops the old sum is inside the carry cells.
        first = _registered(m, last, f"first_{span.start}", init=1)
        if getattr(platform, "family", None) == "ecp5":
            old = self._kept(m, last, first, accumulator)
            top = [ZERO] * int(carries)
            added = [bit(each) for each in addend]
            chain = Chain(m, platform)
            total = chain.add(f"total_{span.start}", old + top, added + top, carry_in)
        else:
            total = Signal(width + int(carries), name=f"total_{span.start}")
            kept = Mux(first, 0, accumulator)
            m.d.comb += total.eq(kept + addend + (0 if carry_in is None else carry_in.value))
        m.d.comb += self.drain_o[span].eq(captured)
        m.d.sync += [
            accumulator.eq(total[:width]),
            captured.eq(Mux(first, accumulator, self.drain_i[span])),
        ]
        return total[width:]

    def _kept(self, m: Module, last: Value, first: Value, accumulator: Value) -> list[Term]:
        """The old sum, as terms that a tile's first product drops."""
        if sum(map(len, self._config.lanes)) == 1:
            return [Term(lambda first, bit: ~first & bit, (first, bit)) for bit in accumulator]
        # Accumulators have their flags in common. One of the adders' own halves the loads: 100 of them held wpw-a8 to
        # 168 MHz. As `first` inverted no tool takes it for a copy.
        going_on = _registered(m, ~last, f"going_on_{len(accumulator)}")
        return [Term(lambda going_on, bit: going_on & bit, (going_on, bit)) for bit in accumulator]


def _extended(field: Value, width: int) -> Value:
    """A two's-complement field as `width` bits, sign extended or, above its range, cut."""
    return Cat(field, field[-1].replicate(max(0, width - len(field))))[:width]


def _registered(m: Module, value: Value, name: str, init: int = 0, reset_less: bool = False) -> Value:
    if isinstance(value, Const):
        return value
    register = Signal.like(value, name=name, init=init, reset_less=reset_less)
    m.d.sync += register.eq(value)
    return register
