"""From sums to results: bias, and requantization to 8- or 4-bit codes."""

from amaranth import C, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from hw.config import BIAS_WIDTH, MULT_WIDTH, SHIFT_WIDTH, Config

SCALING_LAYOUT = data.StructLayout({"bias": signed(BIAS_WIDTH), "mult": MULT_WIDTH, "shift": SHIFT_WIDTH})
"""Parameters of an output column."""


class Requantizer(wiring.Component):
    """y = clamp(((sum + bias) * mult + 2^(shift-1)) >> shift, -M, M), or y = sum + bias when `raw`.

    M = 127, or 7 when `narrow`. mult is 0..2^15-1, shift 1..47; other shifts give no meaningful result.

    Members: enable In(1), sum In(signed output_width), scaling In(SCALING_LAYOUT), raw In(1), narrow In(1),
    y Out(signed result_width). Latency 3 cycles with `enable`, one result per such cycle; without it everything
    holds. The rounding is TOSA's apply_scale_16 with single rounding.
    """

    latency = 3

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "enable": In(1),
                "sum": In(signed(config.output_width)),
                "scaling": In(SCALING_LAYOUT),
                "raw": In(1),
                "narrow": In(1),
                "y": Out(signed(config.result_width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        width = self._config.result_width
        biased = Signal(signed(width), reset_less=True)
        mult, shift, raw, narrow = (
            Signal.like(value, reset_less=True)
            for value in (self.scaling.mult, self.scaling.shift, self.raw, self.narrow)
        )
        unscaled = Signal.like(biased)
        product = Signal(signed(width + MULT_WIDTH), reset_less=True)
        shift_2, raw_2, narrow_2 = (Signal.like(value, reset_less=True) for value in (shift, raw, narrow))
        y = Signal(signed(width), reset_less=True)
        rounded = self._rounded(product, shift_2)
        bound = Mux(narrow_2, C(7, signed(9)), C(127, signed(9)))
        with m.If(self.enable):
            m.d.sync += [
                biased.eq(self.sum + self.scaling.bias),
                mult.eq(self.scaling.mult),
                shift.eq(self.scaling.shift),
                raw.eq(self.raw),
                narrow.eq(self.narrow),
                unscaled.eq(biased),
                product.eq(biased * mult),
                shift_2.eq(shift),
                raw_2.eq(raw),
                narrow_2.eq(narrow),
                y.eq(rounded),
            ]
            with m.If(raw_2):
                m.d.sync += y.eq(unscaled)
            with m.Elif(rounded > bound):
                m.d.sync += y.eq(bound)
            with m.Elif(rounded < -bound):
                m.d.sync += y.eq(-bound)
        m.d.comb += self.y.eq(y)
        return m

    def _rounded(self, product: Value, shift: Value) -> Value:
        """(product + 2^(shift-1)) >> shift, with one bit kept below the point instead of a shifted constant."""
        return ((product >> (shift - 1)[:SHIFT_WIDTH]) + 1) >> 1
