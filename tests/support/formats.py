"""Formats and rounding rules on which quantizers are tested."""

from golden.numeric.quantize import Rounding
from golden.spec.formats import Format, Linear, Log2, Piecewise

PIECEWISE = [
    Piecewise(9),
    Piecewise(5, 13),
    Piecewise(1, 0),
    Piecewise(63, 63),
    Piecewise(63, 0),
    Piecewise(3, bits=5),
]


RULES: list[tuple[Format, Rounding]] = [
    *((Linear(bits), "nearest") for bits in range(2, 9)),
    *((Log2(bits), "nearest") for bits in (3, 4, 5)),
    *((Log2(bits), "log") for bits in (3, 4, 5)),
    *((fmt, "nearest") for fmt in PIECEWISE),
]


FORMATS: list[Format] = [
    Linear(8),
    Linear(4),
    Linear(2),
    Log2(3),
    Log2(4),
    Log2(5),
    Piecewise(9),
    Piecewise(2, bits=6),
]


def rule_id(value: object) -> str:
    return str(value)
