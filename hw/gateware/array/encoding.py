"""Combinational conversions from codes to the operands that PEs take (see `hw.operands`)."""

from amaranth import C, Cat, Mux, Value
from amaranth.lib import data

from golden.spec.formats import Format, Linear, Log2
from hw.operands import CODE_WIDTH, POWER_FLAGS, power_layout

__all__ = ["coarse", "decoded", "is_outer", "magnitude", "outer", "packed", "power"]


def decoded(code: Value, fmt: Format) -> Value:
    """Return the signed value of a linear or log2 code."""
    if isinstance(fmt, Linear):
        return code.as_signed()
    assert isinstance(fmt, Log2)
    # -2^k has ones from bit k upwards, so a negative power needs neither a negation nor a carry.
    field, negative = code[: fmt.exponent_bits], code[fmt.exponent_bits]
    top = fmt.max_exponent + 1
    ones = [
        Mux(negative, field.any() & (field <= index), field == index) for index in range(1, top)
    ]
    ones.append(Mux(negative, field.any(), field == top))
    return Cat(*ones, negative & field.any()).as_signed()


def packed(code: Value, pitch: int) -> Value:
    """Return the two signed 4-bit codes of a byte as one operand: low + high * 2^pitch."""
    low, high = code[:4].as_signed(), code[4:].as_signed()
    return low + (high << pitch)


def magnitude(value: Value, width: int) -> Value:
    """Return a signed value, |value| < 2^(width-1), as `hw.operands.magnitude_layout(width)`."""
    return Cat(Mux(value < 0, -value, value)[: width - 1], value < 0)


def power(code: Value, fmt: Format, width: int) -> Value:
    """Return a log2 code as `hw.operands.power_layout`, of `width` bits in all."""
    assert isinstance(fmt, Log2)
    bits = fmt.exponent_bits
    exponent = (code[:bits] - 1)[:bits]
    return Cat(exponent, C(0, width - POWER_FLAGS - bits), code[:bits].any(), code[bits])


def coarse(code: Value, fmt: Format) -> Value:
    """Return a code as a number of 9 bits, below a flag that multiplies it by 2^8."""
    if not isinstance(fmt, Log2):
        return Cat(code, code[-1], C(0, 1))
    layout = power_layout(fmt.exponent_bits)
    view = data.View(layout, power(code, fmt, layout.size))
    size = Mux(view.nonzero, C(1) << view.exponent[:3], 0)
    return Cat(
        Mux(view.negative, -size, size)[: CODE_WIDTH + 1],
        view.exponent[3:] & view.nonzero,
    )


def is_outer(code: Value) -> Value:
    """Return whether an 8-bit piece-wise code q is in region 2: |q| >= 64.

    The upper bits are 01 for q in 64..127 and 10 for q in -127..-65; -64 is 11000000.
    """
    return Mux(code[7], ~code[6] | ~code[:6].any(), code[6])


def outer(code: Value, offset: Value) -> Value:
    """Return sign(q) * (|q| - 64 + offset) of an 8-bit piece-wise code q of region 2."""
    negative = code[7]
    # sign(q) * (|q| - 64) has the low bits of q. Only for q = -64 are they 0 with a negative sign.
    distance = Cat(code[:6], negative & ~code[6]).as_signed()
    step = Cat(offset ^ negative.replicate(len(offset)), negative).as_signed()
    return (distance + step + negative)[:CODE_WIDTH].as_signed()
