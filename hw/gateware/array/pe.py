"""The processing element: multiply, accumulate, and pass on."""

from amaranth import C, Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import Config
from hw.gateware.array.accumulator import REGISTER_LATENCY, accumulate_from_register
from hw.gateware.lib.carry import Term, bit, either
from hw.gateware.lib.multiplier import Multiplier
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

    Where the mode selects them, and always behind a DSP block: blocks stand in a few rows of the
    part, so a product's way to its adder takes up to a cycle of its own.
    """
    return config.dsp or len(tag_layout(config).members) > 1 or config.has_regions


def product_stages(config: Config) -> int:
    """Registers between the multiplier and the choice of what its product means, where there is a choice.

    Blocks stand far from half of the PEs they serve: 5.8 ns of wire before a multiplexer held an 8
    x 8 array of all modes to 133 MHz.
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
                                            region 1 adds to the upper half (builds with piece-wise
                                            codes only)
      drain_i In, drain_o Out(sum_width)    the drain chain, one PE per cycle

    A product p splits as the tag says: whole, into the lower half; `pair`, into p[0:14] and p[14:],
    one per half; `quad`, into four fields of 7 bits, one per lane. A field above another is one too
    small when the bits below it are negative, so their sign bit enters as its carry (the correction
    of White, "DSP packing").

    Where halves are split and also used whole, the upper lane works one cycle behind the lower, its
    carry registered, and its part of drain_o is one cycle late.

    Latency `latency`, one set of operands per cycle, no flow control: zero operands add nothing. A
    reset of one cycle clears every sum: `last` of each stage resets to 1, so what is in flight
    enters none.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(pe_members(config))

    @staticmethod
    def latency_of(config: Config) -> int:
        """`latency` of a PE of this build."""
        return (
            Multiplier.latency
            + product_stages(config)
            + int(has_addend_stage(config))
            + REGISTER_LATENCY
        )

    @property
    def latency(self) -> int:
        """Cycles from operands at the inputs to their captured sums at `drain_o` (lowest lanes)."""
        return self.latency_of(self._config)

    def elaborate(self, platform: object) -> Module:
        config = self._config
        m = Module()
        operands = {"x_width": config.x_width, "w_width": config.w_width}
        multiplier = place(m, "multiplier", "multiplier", lambda: Multiplier(**operands), platform)
        x = Signal.like(self.x_o, reset_less=True)
        w = Signal.like(self.w_o, reset_less=True)
        m.d.sync += [x.eq(self.x), w.eq(self.w)]
        m.d.comb += [
            multiplier.x.eq(self.x),
            multiplier.w.eq(self.w),
            self.x_o.eq(x),
            self.w_o.eq(w),
        ]

        tag, previous = self.tag, self.tag
        region: Value = self.region if config.has_regions else C(0)
        outer = region
        for stage in range(Multiplier.latency + product_stages(config)):
            # Reset as if a tile ended in every cycle: operands in flight at a reset enter no sum.
            previous, tag = (
                tag,
                Signal(tag_layout(config), name=f"tag_{stage + 1}", init={"last": 1}),
            )
            outer, region = region, _registered(m, region, f"region_{stage + 1}")
            m.d.sync += tag.eq(previous)
            if stage == 0:
                m.d.comb += self.tag_o.eq(tag)
                if config.has_regions:
                    m.d.comb += self.region_o.eq(region)

        product = multiplier.p
        for _ in range(product_stages(config)):
            product = _registered(m, product, "product", reset_less=True)
        clears: list[Value] = [C(0), C(0)]
        if config.has_regions:
            # Of a piece-wise product one half takes nothing, by its registers' reset: no gate, and
            # a wire of its own.
            clears = [region, _registered(m, ~(outer | self._packed(previous)), "inner")]
        halves = self._addends(m, product, tag, previous)
        last = tag.last
        quad = tag.quad if config.joined else None
        staged = has_addend_stage(config)
        if staged:
            last = _registered(m, last, "last_addend", init=1)
            quad = _registered(m, quad, "quad_addend") if quad is not None else None

        offset = 0
        overflow = Value.cast(0)
        for name, widths, lanes, clear in zip(
            ("lower", "upper"), config.lanes, halves, clears, strict=False
        ):
            for lane, (width, (part, carry)) in enumerate(zip(widths, lanes, strict=False)):
                if config.has_regions:
                    part = Mux(clear, 0, part)
                if staged:
                    part = _registered(m, part, f"{name}_{lane}", reset_less=True)
                    carry = _registered(m, carry, f"{name}_carry_{lane}", reset_less=True)
                ends, carries = last, config.joined
                if lane == 1 and config.joined:
                    part = _registered(m, part, "late_addend", reset_less=True)
                    # Straight from the chain into its register: a gate in between held an array to
                    # 162 MHz.
                    overflow = _registered(
                        m, Mux(quad, 0, overflow), "late_overflow", reset_less=True
                    )
                    carry = _registered(m, carry & quad, "late_carry", reset_less=True)
                    ends, carries = _registered(m, last, "late_last", init=1), False
                    carry_in: Term | None = either(carry, overflow)
                else:
                    carry_in = None if isinstance(carry, Const) else bit(carry)
                span = slice(offset, offset + width)
                captured, overflow = accumulate_from_register(
                    m,
                    config,
                    platform,
                    str(offset),
                    part,
                    carry_in,
                    ends,
                    self.drain_i[span],
                    carries,
                )
                m.d.comb += self.drain_o[span].eq(captured)
                offset += width
        return m

    def _packed(self, tag: data.View) -> Value:
        """Whether a product holds several, where the tag tells."""
        fields = [tag[name] for name in ("pair", "quad") if name in tag.shape().members]
        return Cat(*fields).any() if fields else C(0)

    def _addends(
        self, m: Module, p: Value, tag: data.View, previous: data.View
    ) -> list[list[tuple[Value, Value]]]:
        """What each lane of each half adds: a number of the lane's width, and a carry.

        `tag` goes with p, `previous` with the p that follows.
        """
        config = self._config
        quad, pair = config.has_quad, config.has_pair
        sizes = [sum(widths) for widths in config.lanes]

        def fields(half: int) -> Value:
            base, split = 2 * X_PITCH * half, config.lanes[half][0]
            low, high = p[base : base + X_PITCH], p[base + X_PITCH : base + 2 * X_PITCH]
            return Cat(_extended(low, split), _extended(high, sizes[half] - split))

        # What a product means, by half; where no flag is set, the last of them.
        choices: dict[str, list[Value]] = {}
        if quad:
            choices["quad"] = [fields(0), fields(1)]
        if pair:
            choices["pair"] = [_extended(p[:W_PITCH], sizes[0]), _extended(p[W_PITCH:], sizes[1])]
        if config.has_full:
            choices["full"] = [_extended(p, size) for size in sizes]
        *told, otherwise = choices
        # A flag for each half, whose adders stand apart: inverted, or tools would make one of them.
        others = {name: _registered(m, ~previous[name], f"not_{name}", init=1) for name in told}

        packed = self._packed(tag) if told else Value.cast(1)
        carry = (
            p[W_PITCH - 1] & packed if len(config.lanes) == 2 and (pair or quad) else Value.cast(0)
        )
        inner = [p[X_PITCH - 1], p[3 * X_PITCH - 1]] if quad else [Value.cast(0)] * 2
        carries = [[Value.cast(0), inner[0]], [carry, inner[1]]]
        halves = []
        for half, widths in enumerate(config.lanes):
            lanes, start = [], 0
            for width, into in zip(widths, carries[half], strict=False):
                # Lane by lane: narrower than a word of the computer that simulates it.
                part = slice(start, start + width)
                addend = choices[otherwise][half][part]
                for name in reversed(told):
                    meant = choices[name][half][part]
                    addend = (
                        Mux(others[name], addend, meant) if half else Mux(tag[name], meant, addend)
                    )
                lanes.append((addend, into))
                start += width
            halves.append(lanes)
        return halves


def _extended(field: Value, width: int) -> Value:
    """A two's-complement field as `width` bits, sign extended or, above its range, cut."""
    return Cat(field, field[-1].replicate(max(0, width - len(field))))[:width]


def _registered(
    m: Module, value: Value, name: str, init: int = 0, reset_less: bool = False
) -> Value:
    if isinstance(value, Const):
        return value
    register = Signal.like(value, name=name, init=init, reset_less=reset_less)
    m.d.sync += register.eq(value)
    return register
