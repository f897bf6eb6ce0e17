"""Edge decoders: from the code byte of a row or column to the operand that every PE behind it multiplies."""

from amaranth import C, Cat, Module, Mux, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.formats import Linear, Log2, Piecewise
from hw.config import CODE_WIDTH, OFFSET_WIDTH, W_PITCH, X_PITCH, Config


class XDecoder(wiring.Component):
    """The x operand of a row.

    Members: code In(8), mode In(mode_width), x Out(signed x_width). Combinational.
    Two 4-bit codes become x0 + 2^7 * x1.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {"code": In(CODE_WIDTH), "mode": In(config.mode_width), "x": Out(signed(config.x_width))}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        operands = [
            _packed(self.code, X_PITCH) if mode.x_lanes == 2 else _decoded(self.code, mode.x_format, None)[0]
            for mode in self._config.modes
        ]
        m.d.comb += self.x.eq(_selected(self.mode, operands))
        return m


class WDecoder(wiring.Component):
    """The w operand of a column.

    Members: code In(8), mode In(mode_width), offset In(6), w Out(signed w_width), region Out(1).
    Combinational. Two 4-bit codes become w0 + 2^14 * w1; a piece-wise code becomes q, or sign(q)(|q| - 64 + t)
    with t = offset and region 1.
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
            if mode.w_lanes == 2:
                operand, region = _packed(self.code, W_PITCH), Value.cast(0)
            else:
                operand, region = _decoded(self.code, mode.w_format, self.offset)
            operands.append(operand)
            regions.append(region)
        m.d.comb += [
            self.w.eq(_selected(self.mode, operands)),
            self.region.eq(_selected(self.mode, regions)),
        ]
        return m


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
