"""Edge decoders: from the code byte of a row or column to the operand that every PE behind it multiplies."""

from collections.abc import Hashable, Sequence
from typing import NamedTuple

from amaranth import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from golden.spec.formats import Format, Linear, Log2, Piecewise
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


def decoder_latency(config: Config) -> int:
    """Cycles from a code to its operand: none where the code is the operand, or nearly so.

    With everything between two registers, an 8 x 8 array of all modes reaches 117 MHz.
    """
    plain = len(config.modes) == 1 and isinstance(config.modes[0].w_format, Linear)
    return 0 if plain and config.product is Product.MULTIPLIER else 1


class XDecoder(wiring.Component):
    """The x operand of a row.

    Members: code In(8), valid In(1), mode In(mode_width), x Out(signed x_width).
    A code that is not valid gives an operand of zeros, as code 0 does in every mode.
    For a multiplier two 4-bit codes become x0 + 2^7 * x1; what else PEs take stands in
    `hw.operands`. Latency `decoder_latency`, one code per cycle.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "code": In(CODE_WIDTH),
                "valid": In(1),
                "mode": In(config.mode_width),
                "x": Out(signed(config.x_width)),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        kinds = {(mode.x_format, mode.x_lanes) for mode in self._config.modes}
        # Where there is a choice, nothing is chosen: one bit to clear instead of eight.
        code = self.code if len(kinds) > 1 else Mux(self.valid, self.code, 0)
        choices = [
            _Choice(
                self.valid & (self.mode == index),
                (mode.x_format, mode.x_lanes),
                self._operand(code, mode.x_format, mode.x_lanes),
            )
            for index, mode in enumerate(self._config.modes)
        ]
        m.d.comb += self.x.eq(_selected(m, self._config, choices, self._config.x_width))
        return m

    def _operand(self, code: Value, fmt: Format, lanes: int) -> Value:
        config = self._config
        match config.product:
            case Product.SHIFTER if has_power_x(config.modes):
                return _power(code, fmt, config.x_width)
            case Product.SHIFTER if has_coarse_x(config.modes):
                return _coarse(code, fmt)
            case Product.ROWS if lanes == 2:
                return Cat(_magnitude(nibble.as_signed(), 4) for nibble in (code[:4], code[4:]))
            case Product.ROWS:
                return _magnitude(_decoded(code, fmt), CODE_WIDTH)
        return _packed(code, X_PITCH) if lanes == 2 else _decoded(code, fmt)


class WDecoder(wiring.Component):
    """The w operand of a column.

    Members: code In(8), mode In(mode_width), offset In(6), w Out(signed w_width), region Out(1).
    A piece-wise code becomes q, or sign(q)(|q| - 64 + t) with t = offset and region 1. For a
    multiplier two 4-bit codes become w0 + 2^14 * w1; what else PEs take stands in `hw.operands`.
    Latency `decoder_latency`, one code per cycle.
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
        config = self._config
        m = Module()
        choices: list[_Choice] = []
        piecewise, outer = Signal(reset_less=True), Signal(reset_less=True)
        for index, mode in enumerate(config.modes):
            meant = self.mode == index
            if isinstance(mode.w_format, Piecewise):
                m.d.sync += [piecewise.eq(meant), outer.eq(_is_outer(self.code))]
                far = self._sized(_outer(self.code, self.offset))
                # Codes of the inner region are numbers like those of any linear mode.
                near = self._operand(Linear(), mode.w_lanes)
                choices.append(_Choice(C(0), ("outer", 1), far, piecewise & outer))
                choices.append(_Choice(C(0), (Linear(), mode.w_lanes), near, piecewise & ~outer))
            else:
                operand = self._operand(mode.w_format, mode.w_lanes)
                choices.append(_Choice(meant, (mode.w_format, mode.w_lanes), operand))
        m.d.comb += [
            self.w.eq(_selected(m, config, choices, config.w_width)),
            self.region.eq(piecewise & outer),
        ]
        return m

    def _operand(self, fmt: Format, lanes: int) -> Value:
        config = self._config
        if config.product is Product.SHIFTER:
            return _power(self.code, fmt, config.w_width)
        if lanes == 2 and config.product is Product.ROWS:
            return Cat(_magnitude(code.as_signed(), 4) for code in (self.code[:4], self.code[4:]))
        if lanes == 2:
            return _packed(self.code, W_PITCH)
        return self._sized(_decoded(self.code, fmt))

    def _sized(self, number: Value) -> Value:
        """A number as the build's PEs take it."""
        return _magnitude(number, CODE_WIDTH) if self._config.product is Product.ROWS else number


def mode_tags(config: Config, mode: Value) -> dict[str, Value]:
    """How the products of a mode split, as the fields `pair` and `quad` of a PE's tag."""

    def any_of(products: int) -> Value:
        tags = [
            index for index, candidate in enumerate(config.modes) if candidate.products == products
        ]
        return Cat(*(mode == tag for tag in tags)).any() if tags else C(0)

    return {"pair": any_of(2), "quad": any_of(4)}


class _Choice(NamedTuple):
    """An operand, what it is, and whether it is meant: `meant` with the code, or `found` a cycle later."""

    meant: Value
    kind: Hashable
    operand: Value
    found: Value = C(0)


def _selected(m: Module, config: Config, choices: Sequence[_Choice], width: int) -> Value:
    """The operand meant; equal ones are made once."""
    if decoder_latency(config) == 0:
        return choices[0].operand
    distinct = {choice.kind: choice.operand for choice in choices}
    result: Value = C(0, width)
    for number, (kind, operand) in enumerate(distinct.items()):
        register = Signal(width, name=f"operand_{number}", reset_less=True)
        m.d.sync += register.eq(_extended(operand, width))
        if len(distinct) == 1:
            return register
        # Told by a register of its own: the mode's bits have far to go to all these multiplexers.
        chosen = Signal(name=f"chosen_{number}", reset_less=True)
        same = [choice for choice in choices if choice.kind == kind]
        m.d.sync += chosen.eq(Cat(choice.meant for choice in same).any())
        result = result | Mux(chosen | Cat(choice.found for choice in same).any(), register, 0)
    return result


def _packed(code: Value, pitch: int) -> Value:
    low, high = code[:4].as_signed(), code[4:].as_signed()
    return low + (high << pitch)


def _power(code: Value, fmt: Format, width: int) -> Value:
    """A log2 code in the power layout of `width` bits."""
    assert isinstance(fmt, Log2)
    bits = fmt.exponent_bits
    exponent = (code[:bits] - 1)[:bits]
    return Cat(exponent, C(0, width - POWER_FLAGS - bits), code[:bits].any(), code[bits])


def _coarse(code: Value, fmt: Format) -> Value:
    """A code as a number of 9 bits, below a factor of 2^8 as a bit."""
    if not isinstance(fmt, Log2):
        return Cat(code, code[-1], C(0, 1))
    layout = power_layout(fmt.exponent_bits)
    power = data.View(layout, _power(code, fmt, layout.size))
    magnitude = Mux(power.nonzero, C(1) << power.exponent[:3], 0)
    return Cat(
        Mux(power.negative, -magnitude, magnitude)[: CODE_WIDTH + 1],
        power.exponent[3:] & power.nonzero,
    )


def _magnitude(value: Value, width: int) -> Value:
    """A signed value of magnitude below 2^(width-1) as magnitude and sign."""
    return Cat(Mux(value < 0, -value, value)[: width - 1], value < 0)


def _extended(value: Value, width: int) -> Value:
    """A value's bits, its sign repeated up to `width`."""
    sign = value[-1] if value.shape().signed else C(0)
    return Cat(value, sign.replicate(max(0, width - len(value))))[:width]


def _decoded(code: Value, fmt: Format) -> Value:
    """The signed value of a linear or log2 code."""
    if isinstance(fmt, Linear):
        return code.as_signed()
    assert isinstance(fmt, Log2)
    # A power of two below zero has ones from its place upwards: no negation, so no carry.
    field, negative = code[: fmt.exponent_bits], code[fmt.exponent_bits]
    last = fmt.max_exponent + 1
    ones = [
        Mux(negative, field.any() & (field <= place), field == place) for place in range(1, last)
    ]
    ones.append(Mux(negative, field.any(), field == last))
    return Cat(*ones, negative & field.any()).as_signed()


def _is_outer(code: Value) -> Value:
    """|q| >= 64: q = 64..127 has the bits 01, q = -127..-64 has 10, or 11000000 for -64 alone."""
    return Mux(code[7], ~code[6] | ~code[:6].any(), code[6])


def _outer(code: Value, offset: Value) -> Value:
    """sign(q)(|q| - 64 + t) of a piece-wise code of the outer region."""
    negative = code[7]
    # |q| - 64 with the sign of q: its low bits are those of q, and -64 alone has no place below
    # them.
    distance = Cat(code[:6], negative & ~code[6]).as_signed()
    step = Cat(offset ^ negative.replicate(len(offset)), negative).as_signed()
    return (distance + step + negative)[:CODE_WIDTH].as_signed()
