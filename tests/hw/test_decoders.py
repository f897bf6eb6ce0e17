"""Both edge decoders against `decode_code`: all codes of all modes, all offsets, in many builds."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

import pytest

from golden.numeric.codec import all_codes, decode_code
from golden.spec.formats import Format, Piecewise
from golden.spec.modes import MODE_NAMES, Mode, mode
from hw.config import Config
from hw.gateware.array.decoder import WDecoder, XDecoder
from hw.operands import POWER_FLAGS, W_PITCH, X_PITCH, Product, has_coarse_x, has_power_x
from tests.support.unit_run import rtl_run

BUILDS = {
    **{name: Config(modes=(mode(name),)) for name in MODE_NAMES},
    "wlog3-a8": Config(modes=(mode("wlog-a8", 3),)),
    "wlog5-a8": Config(modes=(mode("wlog-a8", 5),)),
    "wlog3-alog": Config(modes=(mode("wlog-alog", 3),)),
    "shifter-4": Config(modes=(mode("wlog-alog"), mode("wlog-a8"))),
    "shifter-5-4": Config(modes=(mode("wlog-a8", 5), mode("wlog-alog", 4))),
    "all": Config(modes=tuple(mode(name) for name in MODE_NAMES)),
    "rows-w8a8": Config(modes=(mode("w8a8"),), dsp=False),
    "rows-w4a8": Config(modes=(mode("w4a8"),), dsp=False),
    "rows-w4a4": Config(modes=(mode("w4a4"),), dsp=False),
    "rows-mixed": Config(
        modes=(mode("w8a8"), mode("wpw-a8"), mode("wlog-a8", 3), mode("wlog-alog", 3)), dsp=False
    ),
}
CASES = [
    pytest.param(config, each, id=f"{name}-{each.name}")
    for name, config in BUILDS.items()
    for each in config.modes
]


@dataclass(frozen=True)
class Byte:
    """A byte of codes and their values."""

    byte: int
    values: tuple[int, ...]


@cache
def bytes_of(fmt: Format, codes: int) -> list[Byte]:
    """Every byte of one legal code, or of two 4-bit codes, with the values by definition."""
    known = [(int(code), decode_code(int(code), fmt)) for code in all_codes(fmt)]
    if codes == 1:
        return [Byte(code & 0xFF, (value,)) for code, value in known]
    return [
        Byte(low & 0xF | (high & 0xF) << 4, (low_value, high_value))
        for low, low_value in known
        for high, high_value in known
    ]


def two_complement(bits: int, width: int) -> int:
    """An unsigned field as a signed number."""
    return bits - (bits >> (width - 1) << width)


def sign_magnitude(bits: int, width: int) -> int:
    """A field of sign and magnitude as a signed number."""
    magnitude = bits & (1 << width - 1) - 1
    return -magnitude if bits >> width - 1 else magnitude


def power(bits: int, width: int) -> int:
    """A field of exponent, nonzero and sign as a signed number."""
    exponent, flags = bits & (1 << width - POWER_FLAGS) - 1, bits >> width - POWER_FLAGS
    return (flags & 1) * (-1) ** (flags >> 1) * (1 << exponent)


def check(
    config: Config, operand: int, width: int, values: tuple[int, ...], pitch: int, is_power: bool
) -> None:
    """The operand holds the values, in the encoding that the build's PEs take."""
    bits = operand & (1 << width) - 1
    match config.product:
        case Product.ROWS:
            size = 8 // len(values)
            found = tuple(
                sign_magnitude(bits >> size * i & (1 << size) - 1, size) for i in range(len(values))
            )
            assert found == values
        case Product.SHIFTER if is_power:
            assert (power(bits, width),) == values
        case Product.SHIFTER if has_coarse_x(config.modes):
            assert (two_complement(bits & 0x1FF, 9) << 8 * (bits >> 9),) == values
        case _:
            packed = sum(value << pitch * index for index, value in enumerate(values))
            assert two_complement(bits, width) == packed


@pytest.mark.parametrize(("config", "mode"), CASES)
def test_x(config: Config, mode: Mode) -> None:
    """Each byte twice: valid, and invalid, which has the value 0."""
    decoder = XDecoder(config)
    every = bytes_of(mode.x_format, mode.x_lanes)
    steps = [(each, valid) for each in every for valid in (1, 0)]
    inputs = [
        {"code": each.byte, "valid": valid, "mode": config.index(mode)} for each, valid in steps
    ]
    rows = rtl_run(decoder, [*inputs, {}], ["x"])[decoder.latency :]
    for (each, valid), (operand,) in zip(steps, rows, strict=False):
        values = each.values if valid else (0,) * len(each.values)
        check(config, operand, config.x_width, values, X_PITCH, has_power_x(config.modes))


def offsets_of(fmt: Format) -> Iterator[Format]:
    """The format with every offset, its ratio left to the sums; other formats as they are."""
    if isinstance(fmt, Piecewise):
        yield from (Piecewise(ratio=1, offset=offset) for offset in range(64))
    else:
        yield fmt


@pytest.mark.slow
@pytest.mark.parametrize(("config", "mode"), CASES)
def test_w(config: Config, mode: Mode) -> None:
    """Each byte, with each offset in piece-wise modes; another code follows in every cycle."""
    decoder = WDecoder(config)
    steps = [
        (fmt, each) for fmt in offsets_of(mode.w_format) for each in bytes_of(fmt, mode.w_lanes)
    ]
    inputs = [
        {
            "code": each.byte,
            "mode": config.index(mode),
            "offset": fmt.offset if isinstance(fmt, Piecewise) else each.byte & 63,
        }
        for fmt, each in steps
    ]
    rows = rtl_run(decoder, [*inputs, {}], ["w", "region"])[decoder.latency :]
    for (fmt, each), (operand, region) in zip(steps, rows, strict=False):
        check(config, operand, config.w_width, each.values, W_PITCH, True)
        code = two_complement(each.byte, 8)
        assert region == int(isinstance(fmt, Piecewise) and abs(code) >= 64)


@pytest.mark.parametrize("decoder_class", [XDecoder, WDecoder])
def test_modes_alternate(decoder_class: type[XDecoder] | type[WDecoder]) -> None:
    """A mode holds for its own code alone: the modes of a build in turn, a code each."""
    config = BUILDS["all"]
    decoder = decoder_class(config)
    letter = "x" if decoder_class is XDecoder else "w"
    steps = [
        (mode, byte)
        for number in range(200)
        for mode in config.modes
        for byte in [sampled(mode, letter, number)]
    ]
    extra = {"valid": 1} if letter == "x" else {"offset": 0}
    inputs = [{"code": byte.byte, "mode": config.index(mode), **extra} for mode, byte in steps]
    rows = rtl_run(decoder, [*inputs, {}], [letter])[decoder.latency :]
    width, pitch = (config.x_width, X_PITCH) if letter == "x" else (config.w_width, W_PITCH)
    for (_, byte), (operand,) in zip(steps, rows, strict=False):
        check(config, operand, width, byte.values, pitch, False)


def sampled(mode: Mode, letter: str, number: int) -> Byte:
    """One byte of a mode's codes, a different one for each number."""
    fmt = mode.x_format if letter == "x" else mode.w_format
    codes = mode.x_lanes if letter == "x" else mode.w_lanes
    every = bytes_of(Piecewise(ratio=1, offset=0) if isinstance(fmt, Piecewise) else fmt, codes)
    return every[37 * number % len(every)]
