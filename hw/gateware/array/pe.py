"""Processing element with a multiplier."""

from amaranth import C, Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring

from hw.config import Config
from hw.gateware.array.accumulator import REGISTER_LATENCY, accumulate_from_register
from hw.gateware.array.mesh import forwarded, pe_signature, tag_layout
from hw.gateware.lib.bits import extended
from hw.gateware.lib.carry import bit, either
from hw.gateware.lib.delay import register
from hw.gateware.lib.multiplier import Multiplier
from hw.operands import W_PITCH, X_PITCH
from hw.target import kept_apart, place

__all__ = ["PE", "has_addend_stage", "product_stages"]


def has_addend_stage(config: Config) -> bool:
    """Return whether the addends are registered between the product and the accumulators.

    The register exists in builds whose mode selects the addends, and in all builds with DSP blocks:
    DSP blocks have fixed positions, so the wire from one to its accumulators takes up to a cycle.
    """
    return config.dsp or len(tag_layout(config).members) > 1 or config.has_regions


def product_stages(config: Config) -> int:
    """Return the number of registers between the multiplier and the multiplexers of its product.

    It is 1 if the mode selects the addends, because the wire from the DSP block leaves no time for
    a multiplexer in the same cycle; otherwise 0.
    """
    return int(len(tag_layout(config).members) > 1)


@kept_apart
class PE(wiring.Component):
    """Multiply-accumulate unit of an output-stationary array, with packed products.

    Formula: acc' = acc + x * w. With `tag.last` the sum enters the drain chain and the next sum
    starts from 0.

    Two flags of the tag, `pair` and `quad`, select how the product p is split into addends:

    - `pair`: p[0:14] goes to the lower half of the accumulators, p[14:] to the upper half;
    - `quad`: four fields of 7 bits, one per accumulator lane;
    - no flag set: all of p goes to the lower half, or to the upper half if `region` is 1.

    If a field is negative, the field above it in p is one too small. So the sign bit of the lower
    field is the carry into the adder of the upper one (the correction of White, "DSP packing").

    If some modes of a build split a half into two lanes and others use it as one sum, the carry
    from the lower to the upper lane is registered. The upper lane and its part of `drain_o` are
    then one cycle later than the lower lane.

    Parameters:
        config: Build, which gives the widths and the modes.

    Members: `pe_signature`.

    Latency: `latency`. Throughput: one pair of operands per cycle, without flow control; operands
    of 0 add nothing. One cycle of reset is enough to clear all sums: every pipeline stage of `last`
    resets to 1, so operands in flight enter no later sum.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(pe_signature(config))

    @staticmethod
    def latency_of(config: Config) -> int:
        """Return the `latency` of a PE of this build."""
        return (
            Multiplier.latency
            + product_stages(config)
            + int(has_addend_stage(config))
            + REGISTER_LATENCY
        )

    @property
    def latency(self) -> int:
        """Cycles from operands with `last` to the lowest lanes of their sums at `drain_o`."""
        return self.latency_of(self._config)

    def elaborate(self, platform: object) -> Module:
        config = self._config
        m = Module()
        _, _, tag, region = forwarded(m, config, self)
        product = self._product(m, platform)
        # `next_tag` and `next_region` belong to the product that comes one cycle later.
        next_tag, next_region = tag, region
        for stage in range(2, Multiplier.latency + product_stages(config) + 1):
            next_tag, next_region = tag, region
            tag = Signal(tag_layout(config), name=f"tag_{stage}", init={"last": 1})
            m.d.sync += tag.eq(next_tag)
            if config.has_regions:
                region = register(m, region, f"region_{stage}")
        addends = self._addends(m, product, tag, next_tag)
        if config.has_regions:
            # A product of one region adds 0 to the other half. Yosys maps these multiplexers to the
            # synchronous reset of the addend registers, without a gate.
            inner = register(m, ~(next_region | self._is_packed(next_tag)), "inner")
            addends = [
                [(Mux(clear, 0, addend), carry) for addend, carry in lanes]
                for clear, lanes in zip((region, inner), addends, strict=False)
            ]
        last, quad = tag.last, tag.quad if config.joined else None
        if has_addend_stage(config):
            last = register(m, last, "last_addend", init=1)
            quad = None if quad is None else register(m, quad, "quad_addend", init=0)
            addends = self._registered(m, addends)
        self._accumulate(m, platform, addends, last, quad)
        return m

    def _product(self, m: Module, platform: object) -> Value:
        """Return x * w, `Multiplier.latency` + `product_stages` cycles after the operands."""
        widths = {"x_width": self._config.x_width, "w_width": self._config.w_width}
        multiplier = place(m, "multiplier", "multiplier", lambda: Multiplier(**widths), platform)
        m.d.comb += [multiplier.x.eq(self.west.x), multiplier.w.eq(self.north.w)]
        product: Value = multiplier.p
        for _ in range(product_stages(self._config)):
            product = register(m, product, "product")
        return product

    def _is_packed(self, tag: data.View) -> Value:
        """Return whether the tag marks its product as several packed products."""
        fields = [tag[name] for name in ("pair", "quad") if name in tag.shape().members]
        return Cat(*fields).any() if fields else C(0)

    def _addends(
        self, m: Module, p: Value, tag: data.View, next_tag: data.View
    ) -> list[list[tuple[Value, Value | None]]]:
        """Return what each lane of each half adds: a value of the lane's width, and a carry.

        `tag` belongs to the product `p`, `next_tag` to the product one cycle later.
        """
        config = self._config
        choices = self._choices(p)
        *flagged, otherwise = choices
        # The upper half's adder is far from the lower one's, so it has select registers of its own.
        # They are stored inverted, so that synthesis does not merge them with the tag.
        others = {name: register(m, ~next_tag[name], f"not_{name}", init=1) for name in flagged}

        carry: Value | None = None
        if len(config.lanes) == 2 and (config.has_pair or config.has_quad):
            carry = p[W_PITCH - 1] & self._is_packed(tag) if flagged else p[W_PITCH - 1]
        inner = [p[X_PITCH - 1], p[3 * X_PITCH - 1]] if config.has_quad else [None, None]
        carries = [[None, inner[0]], [carry, inner[1]]]
        halves = []
        for half, widths in enumerate(config.lanes):
            lanes, start = [], 0
            for width, carry_in in zip(widths, carries[half], strict=False):
                # One multiplexer per lane: each fits a machine word of the simulator.
                part = slice(start, start + width)
                addend = choices[otherwise][half][part]
                for name in reversed(flagged):
                    choice = choices[name][half][part]
                    addend = (
                        Mux(others[name], addend, choice)
                        if half
                        else Mux(tag[name], choice, addend)
                    )
                lanes.append((addend, carry_in))
                start += width
            halves.append(lanes)
        return halves

    def _choices(self, p: Value) -> dict[str, list[Value]]:
        """Return the addends of each half by the flag that selects them; the last by default."""
        config = self._config
        sizes = [sum(widths) for widths in config.lanes]

        def fields(half: int) -> Value:
            base, split = 2 * X_PITCH * half, config.lanes[half][0]
            low, high = p[base : base + X_PITCH], p[base + X_PITCH : base + 2 * X_PITCH]
            return Cat(_signed(low, split), _signed(high, sizes[half] - split))

        choices: dict[str, list[Value]] = {}
        if config.has_quad:
            choices["quad"] = [fields(0), fields(1)]
        if config.has_pair:
            choices["pair"] = [_signed(p[:W_PITCH], sizes[0]), _signed(p[W_PITCH:], sizes[1])]
        if config.has_full:
            choices["full"] = [_signed(p, size) for size in sizes]
        return choices

    @staticmethod
    def _registered(
        m: Module, addends: list[list[tuple[Value, Value | None]]]
    ) -> list[list[tuple[Value, Value | None]]]:
        """Return the addends and carries one cycle later."""
        return [
            [
                (
                    register(m, addend, f"{name}_{lane}"),
                    None if carry is None else register(m, carry, f"{name}_carry_{lane}"),
                )
                for lane, (addend, carry) in enumerate(lanes)
            ]
            for name, lanes in zip(("lower", "upper"), addends, strict=False)
        ]

    def _accumulate(
        self,
        m: Module,
        platform: object,
        addends: list[list[tuple[Value, Value | None]]],
        last: Value,
        quad: Value | None,
    ) -> None:
        """Add each lane's addend to its accumulator, and drive `drain_o`.

        `quad` is 1 if the two lanes of a half are separate sums, and 0 if they form one sum. It is
        None in builds whose lanes never form one sum.
        """
        config = self._config
        joined = quad is not None
        offset = 0
        for lanes in addends:
            overflow: Value = C(0)
            for lane, (addend, carry) in enumerate(lanes):
                carry_in, ends = None if carry is None else bit(carry), last
                if quad is not None and lane == 1:
                    addend = register(m, addend, "late_addend")
                    # The carry chain drives the register directly; the flag is its reset.
                    overflow = register(m, Mux(quad, 0, overflow), "late_overflow")
                    late_carry = register(m, carry & quad, "late_carry")
                    ends = register(m, last, "late_last", init=1)
                    carry_in = either(late_carry, overflow)
                span = slice(offset, offset + len(addend))
                captured, overflow = accumulate_from_register(
                    m,
                    platform,
                    name=str(offset),
                    addend=addend,
                    carry_in=carry_in,
                    last=ends,
                    drain_i=self.drain_i[span],
                    loads=config.sum_width,
                    carry_out=joined and lane == 0,
                )
                m.d.comb += self.drain_o[span].eq(captured)
                offset += len(addend)


def _signed(field: Value, width: int) -> Value:
    """Return a two's-complement field as `width` bits."""
    return extended(field.as_signed(), width)
