"""Edge decoders: from the code byte of a row or column to the operand that every PE behind it multiplies."""

from amaranth import C, Cat, Module, Mux, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.formats import Linear, Log2, Piecewise
from golden.modes import Mode
from hw.config import OFFSET_WIDTH, Config
from hw.operands import (
    CODE_WIDTH,
    POWER_FLAGS,
    W_PITCH,
    X_PITCH,
    Product,
    has_coarse_x,
    has_power_x,
    power_layout,
)


class XDecoder(wiring.Component):
    """The x operand of a row.

    Members: code In(8), mode In(mode_width), x Out(signed x_width). Combinational.
    Code 0 gives an operand of zeros in every mode: what a bubble multiplies by.
    For a multiplier two 4-bit codes become x0 + 2^7 * x1; what else PEs take stands in `hw.operands`.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {"code": In(CODE_WIDTH), "mode": In(config.mode_width), "x": Out(signed(config.x_width))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        operands = [self._operand(mode) for mode in self._config.modes]
        m.d.comb += self.x.eq(_selected(self.mode, operands))
        return m

    def _operand(self, mode: Mode) -> Value:
        config, fmt = self._config, mode.x_format
        match config.product:
            case Product.SHIFTER if has_power_x(config.modes):
                return _power(self.code, fmt, config.x_width)
            case Product.SHIFTER if has_coarse_x(config.modes):
                return _coarse(self.code, fmt)
            case Product.ROWS if mode.x_lanes == 2:
                return Cat(_magnitude(code.as_signed(), 4) for code in (self.code[:4], self.code[4:]))
            case Product.ROWS:
                return _magnitude(_decoded(self.code, fmt, None)[0], CODE_WIDTH)
        return _packed(self.code, X_PITCH) if mode.x_lanes == 2 else _decoded(self.code, fmt, None)[0]


class WDecoder(wiring.Component):
    """The w operand of a column.

    Members: code In(8), mode In(mode_width), offset In(6), w Out(signed w_width), region Out(1).
    Combinational. A piece-wise code becomes q, or sign(q)(|q| - 64 + t) with t = offset and region 1. For a
    multiplier two 4-bit codes become w0 + 2^14 * w1; what else PEs take stands in `hw.operands`.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "code": In(CODE_WIDTH),
                "mode": In(config.mode_width),
                "offset": In(OFFSET_WIDTH),
                "w": Out(signed(config.w_width)),
                "region": Out(1),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        operands: list[Value] = []
        regions: list[Value] = []
        for mode in self._config.modes:
            operand, region = self._operand(mode)
            operands.append(operand)
            regions.append(region)
        m.d.comb += [
            self.w.eq(_selected(self.mode, operands)),
            self.region.eq(_selected(self.mode, regions)),
        ]
        return m

    def _operand(self, mode: Mode) -> tuple[Value, Value]:
        """(operand, region)"""
        config = self._config
        if config.product is Product.SHIFTER:
            return _power(self.code, mode.w_format, config.w_width), C(0)
        if mode.w_lanes == 2:
            if config.product is Product.ROWS:
                return Cat(_magnitude(code.as_signed(), 4) for code in (self.code[:4], self.code[4:])), C(0)
            return _packed(self.code, W_PITCH), C(0)
        operand, region = _decoded(self.code, mode.w_format, self.offset)
        if config.product is Product.ROWS:
            operand = _magnitude(operand, CODE_WIDTH)
        return operand, region


def mode_tags(config: Config, mode: Value) -> dict[str, Value]:
    """How the products of a mode split, as the fields `pair` and `quad` of a PE's tag."""

    def any_of(products: int) -> Value:
        tags = [index for index, candidate in enumerate(config.modes) if candidate.products == products]
        return Cat(*(mode == tag for tag in tags)).any() if tags else C(0)

    return {"pair": any_of(2), "quad": any_of(4)}


def _selected(mode: Value, choices: list[Value]) -> Value:
    result = choices[-1]
    for index, choice in reversed(list(enumerate(choices[:-1]))):
        result = Mux(mode == index, choice, result)
    return result


def _packed(code: Value, pitch: int) -> Value:
    low, high = code[:4].as_signed(), code[4:].as_signed()
    return low + (high << pitch)


def _power(code: Value, fmt: Linear | Log2 | Piecewise, width: int) -> Value:
    """A log2 code in the power layout of `width` bits."""
    assert isinstance(fmt, Log2)
    bits = fmt.exponent_bits
    exponent = (code[:bits] - 1)[:bits]
    return Cat(exponent, C(0, width - POWER_FLAGS - bits), code[:bits].any(), code[bits])


def _coarse(code: Value, fmt: Linear | Log2 | Piecewise) -> Value:
    """A code as a number of 9 bits, below a factor of 2^8 as a bit."""
    if not isinstance(fmt, Log2):
        return Cat(code, code[-1], C(0, 1))
    layout = power_layout(fmt.exponent_bits)
    power = data.View(layout, _power(code, fmt, layout.size))
    magnitude = Mux(power.nonzero, C(1) << power.exponent[:3], 0)
    return Cat(
        Mux(power.negative, -magnitude, magnitude)[: CODE_WIDTH + 1], power.exponent[3:] & power.nonzero
    )


def _magnitude(value: Value, width: int) -> Value:
    """A signed value of magnitude below 2^(width-1) as magnitude and sign."""
    return Cat(Mux(value < 0, -value, value)[: width - 1], value < 0)


def _decoded(code: Value, fmt: Linear | Log2 | Piecewise, offset: Value | None) -> tuple[Value, Value]:
    """(signed operand, region) of one code."""
    match fmt:
        case Linear():
            return code.as_signed(), C(0)
        case Log2(exponent_bits=bits):
            # One bit per power: e = 0 selects the bit that is cut off, which makes it the value 0.
            magnitude = (C(1) << code[:bits])[1 : fmt.max_exponent + 2]
            return Mux(code[bits], -magnitude, magnitude), C(0)
        case Piecewise():
            assert offset is not None
            negative = code[7]
            # |q| >= 64: q = 64..127 has the bits 01, q = -127..-64 has 10, or 11000000 for -64 alone.
            region = Mux(negative, code.as_signed() <= -64, code[6])
            step = Mux(negative, -offset, offset)
            distance = Mux(negative, code.as_signed() + 64, code.as_signed() - 64)
            return Mux(region, distance + step, code.as_signed()), region
    raise AssertionError(fmt)
