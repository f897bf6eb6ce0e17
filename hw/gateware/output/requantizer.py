"""From sums to results: bias, and requantization to 8- or 4-bit codes."""

from amaranth import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import BIAS_WIDTH, MULT_WIDTH, SHIFT_WIDTH, Config
from hw.gateware.lib.delay import Delay
from hw.gateware.lib.multiplier import MAX_WIDTH, Multiplier
from hw.gateware.lib.row_multiplier import RowMultiplier
from hw.target import kept_apart, place

SCALING_LAYOUT = data.StructLayout(
    {"bias": signed(BIAS_WIDTH), "mult": MULT_WIDTH, "shift": SHIFT_WIDTH}
)
"""Parameters of an output column."""

CHUNK = MAX_WIDTH - 1
"""Bits of a sum that one multiplier takes at a time: with a sign in front they fill its operand."""


def multiplier_latency(config: Config) -> int:
    """Of what multiplies a chunk: a block, or look-up tables."""
    return Multiplier.latency if config.dsp else RowMultiplier.latency_of(MULT_WIDTH)


def requantizer_latency(config: Config) -> int:
    """Cycles from a sum to its result."""
    return 10 + multiplier_latency(config)


@kept_apart
class Requantizer(wiring.Component):
    """y = clamp(((sum + bias) * mult + 2^(shift-1)) >> shift, -M, M), or y = sum + bias when `raw`.

    M = 127, or 7 when `narrow`. mult is 0..2^15-1, shift 1..47; other shifts give no meaningful
    result.

    Members: sum In(signed output_width), scaling In(SCALING_LAYOUT), raw In(1), narrow In(1), y
    Out(signed result_width). Latency `requantizer_latency`, one result per cycle, no flow control.
    The rounding is TOSA's apply_scale_16 with single rounding. A raw result goes the same way,
    times 1 and shifted by 0.

    Cycles: bias; into and through the multipliers, one for each CHUNK bits; their products joined
    (2); the shift, two bits of it at a time (3); rounding; comparison with the bounds (2); clamp.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "sum": In(signed(config.output_width)),
                "scaling": In(SCALING_LAYOUT),
                "raw": In(1),
                "narrow": In(1),
                "y": Out(signed(config.result_width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        delay = Delay(m)
        width = self._config.result_width
        biased = Signal(signed(width), reset_less=True)
        mult = Signal(MULT_WIDTH, reset_less=True)
        m.d.sync += [
            biased.eq(self.sum + self.scaling.bias),
            mult.eq(Mux(self.raw, 1, self.scaling.mult)),
        ]
        # One bit is kept below the point, so that rounding adds 1 instead of a shifted constant.
        kept = Signal(SHIFT_WIDTH, reset_less=True)
        m.d.sync += kept.eq(Mux(self.raw, 0, self.scaling.shift - 1))
        product = Signal(signed(width + MULT_WIDTH), reset_less=True)
        m.d.sync += product.eq(self._product(m, biased, mult, platform))
        multiplied = multiplier_latency(self._config)
        shift = delay(kept, 2 + multiplied, "shift")
        narrow = delay(self.narrow, 7 + multiplied, "narrow")
        raw = delay(self.raw, 9 + multiplied, "raw")
        shifted: Value = product
        for low in reversed(range(0, SHIFT_WIDTH, 2)):
            stage = Signal.like(product, name=f"shifted_{low}", reset_less=True)
            m.d.sync += stage.eq(shifted >> (shift[low : low + 2] << low))
            shift, shifted = delay(shift[:low], 1, f"shift_below_{low}"), stage
        # What lies far outside the bounds shows in the upper bits, and only the lower ones are
        # rounded.
        near = 10
        beyond = shifted[near - 1 :]
        rounded = Signal(signed(near), reset_less=True)
        whole = Signal(signed(width), reset_less=True)
        m.d.sync += [
            rounded.eq(self._rounded(shifted[:near].as_signed())),
            whole.eq(shifted),
        ]
        # Of all bits: `whole` holds raw results, and a shifted product may be wider.
        negative = delay(shifted[-1], 2, "negative")
        groups = [beyond[start : start + 8] for start in range(0, len(beyond), 8)]
        ones = Cat(delay(group.all(), 1, "ones") for group in groups)
        some = Cat(delay(group.any(), 1, "some") for group in groups)
        # Codes have 8 bits; what is clamped says to which bound.
        code = Signal(signed(8), reset_less=True)
        above, below, inside, narrowed = (
            Signal(reset_less=True, name=name) for name in ("above", "below", "inside", "narrowed")
        )
        kept_whole = Signal.like(whole, reset_less=True)
        m.d.sync += [
            above.eq(Mux(narrow, rounded > 7, rounded > 127)),
            below.eq(Mux(narrow, rounded < -7, rounded < -127)),
            inside.eq(ones.all() | ~some.any()),
            code.eq(rounded),
            narrowed.eq(narrow),
            kept_whole.eq(whole),
        ]
        high, low, last = (
            Signal(reset_less=True),
            Signal(reset_less=True),
            Signal.like(whole, reset_less=True),
        )
        inner, bound = Signal.like(code, reset_less=True), Signal(signed(8), reset_less=True)
        m.d.sync += [
            high.eq(Mux(inside, above, ~negative)),
            low.eq(Mux(inside, below, negative)),
            bound.eq(Mux(narrowed, 7, 127)),
            inner.eq(code),
            last.eq(kept_whole),
        ]
        y = Signal.like(self.y, reset_less=True)
        m.d.sync += y.eq(Mux(raw, last, Mux(high, bound, Mux(low, -bound, inner))))
        m.d.comb += self.y.eq(y)
        return m

    def _product(self, m: Module, biased: Value, mult: Value, platform: object) -> Value:
        """biased * mult, a cycle behind the multipliers: one for each chunk of bits, the highest of them signed."""
        delay = Delay(m)
        parts: list[Value] = []
        for index, start in enumerate(range(0, len(biased), CHUNK)):
            last = start + CHUNK >= len(biased)
            chunk = biased[start:].as_signed() if last else biased[start : start + CHUNK]
            part = place(m, f"chunk_{index}", "scaler", self._multiplier, platform)
            m.d.comb += [part.x.eq(chunk), part.w.eq(mult)]
            parts.append(part.p << start)
        return delay(parts[0] + parts[1], 1, "lower") + sum(
            delay(part, 1, "upper") for part in parts[2:]
        )

    def _multiplier(self) -> wiring.Component:
        if self._config.dsp:
            return Multiplier(x_width=MAX_WIDTH, w_width=MULT_WIDTH + 1)
        return RowMultiplier(x_width=MAX_WIDTH, w_width=MULT_WIDTH)

    def _rounded(self, doubled: Value) -> Value:
        """Of twice a value the value, a half away from minus infinity."""
        return (doubled + 1) >> 1
