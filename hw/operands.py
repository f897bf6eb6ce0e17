"""Operands: the form of x and w codes behind the edge decoders of the array."""

from collections.abc import Sequence
from enum import Enum

from amaranth.lib import data

from golden.spec.formats import Format, Linear, Log2, Piecewise
from golden.spec.modes import Mode

CODE_WIDTH = 8
"""Bits that a row or column takes each cycle: one code, or two 4-bit codes, low nibble first."""

X_PITCH = 7
"""Distance of two packed 4-bit x codes in the operand: +-7 * +-7 fits 7 bits."""

W_PITCH = 14
"""Distance of two packed 4-bit w codes in the operand: two x pitches.

An 8 x 4 product fits in 13 bits.
"""


class Product(Enum):
    """How a PE forms its products, which decides how operands are coded."""

    MULTIPLIER = "multiplier"
    """One multiplier, for any modes: two's complement operands.

    Two packed 4-bit codes are X_PITCH or W_PITCH bits apart.
    """

    SHIFTER = "shifter"
    """A shifter, for log2 modes alone: w is a power of two.

    x is a power too, or in some modes a number times 1 or 2^8.
    """

    ROWS = "rows"
    """Gated rows in an adder: sign and magnitude, of one 8-bit or two 4-bit codes."""


def product_of(modes: Sequence[Mode], dsp: bool) -> Product:
    """How PEs that serve these modes form products. Raises ValueError if none serves them all."""
    names = ", ".join(mode.name for mode in modes)
    widest = max(exponent_bits(modes), default=0)
    if all(isinstance(mode.w_format, Log2) for mode in modes):
        return Product.SHIFTER
    if widest > 4:
        raise ValueError(
            f"exponent bits: expected 3 or 4 beside modes other than log2, got {widest}"
        )
    if dsp:
        return Product.MULTIPLIER
    packed = [mode for mode in modes if mode.products > 1]
    wide = any(bits > 3 for bits in exponent_bits(modes))
    if len(modes) > 1 and (packed or wide):
        raise ValueError(
            "no-dsp: expected one mode, log2 modes only, or modes of one product with values "
            "within +-127, "
            f"got {names}"
        )
    return Product.ROWS


def exponent_bits(modes: Sequence[Mode]) -> list[int]:
    """Bits of every log2 exponent in these modes."""
    formats = [fmt for mode in modes for fmt in (mode.x_format, mode.w_format)]
    return [fmt.exponent_bits for fmt in formats if isinstance(fmt, Log2)]


POWER_FLAGS = 2
"""Bits of a power beside its exponent."""


def power_layout(bits: int) -> data.StructLayout:
    """0 unless `nonzero`, else 2^exponent, negated if `negative`. All bits 0 is the value 0."""
    return data.StructLayout({"exponent": bits, "nonzero": 1, "negative": 1})


def magnitude_layout(width: int) -> data.StructLayout:
    """A number of `width` bits as its magnitude, negated if `negative`."""
    return data.StructLayout({"magnitude": width - 1, "negative": 1})


def has_power_x(modes: Sequence[Mode]) -> bool:
    """Whether x is a log2 code in all modes."""
    return all(isinstance(mode.x_format, Log2) for mode in modes)


def has_coarse_x(modes: Sequence[Mode]) -> bool:
    """Whether a shifter takes x powers beyond the range of linear codes: x * 2^(8 * coarse).

    x has 9 bits then. With 3 exponent bits +-2^6 is an 8-bit number like any other.
    """
    return not has_power_x(modes) and max(x_operand_width(mode) for mode in modes) > CODE_WIDTH


def x_width(modes: Sequence[Mode], product: Product) -> int:
    """Bits of an x operand."""
    match product:
        case Product.SHIFTER if has_power_x(modes):
            return max(exponent_bits(modes)) + POWER_FLAGS
        case Product.SHIFTER:
            return CODE_WIDTH + 2 * int(has_coarse_x(modes))
        case Product.ROWS:
            return CODE_WIDTH
    return max(x_operand_width(mode) for mode in modes)


def w_width(modes: Sequence[Mode], product: Product) -> int:
    """Bits of a w operand."""
    match product:
        case Product.SHIFTER:
            return max(exponent_bits(modes)) + POWER_FLAGS
        case Product.ROWS:
            return CODE_WIDTH
    return max(w_operand_width(mode) for mode in modes)


def x_operand_width(mode: Mode) -> int:
    """Bits of the two's-complement operand that carries a row's x codes."""
    if mode.x_lanes == 2:
        return X_PITCH + 4
    return _operand_width(mode.x_format)


def w_operand_width(mode: Mode) -> int:
    """Bits of the two's-complement operand that carries a column's w codes."""
    if mode.w_lanes == 2:
        return W_PITCH + 4
    return _operand_width(mode.w_format)


def _operand_width(fmt: Linear | Log2 | Piecewise) -> int:
    match fmt:
        case Linear():
            return CODE_WIDTH
        case Log2():
            return fmt.max_value.bit_length() + 1
        case Piecewise():
            # Region 2 is multiplied before its ratio: 63 + 63 at most.
            return CODE_WIDTH


def reads(built: Format, given: Format) -> bool:
    """Whether an edge decoder made for codes in `built` decodes codes in `given`.

    Linear codes of fewer bits are sign-extended to the decoder's width. The sign and the exponent
    of a log2 code change places with its exponent bits, and so does the split of piece-wise codes
    with their bits. The ratio and the offset of piece-wise codes are run-time parameters.
    """
    if type(built) is not type(given):
        return False
    if isinstance(built, Linear) and isinstance(given, Linear):
        return given.bits <= built.bits
    if isinstance(built, Piecewise) and isinstance(given, Piecewise):
        return given.bits == built.bits
    return built == given
