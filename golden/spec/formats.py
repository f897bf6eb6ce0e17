"""Number formats: code width, value range and parameters.

Records only: `golden.numeric.codec` decodes and `golden.numeric.quantize` rounds. The hardware
reads these records and shares no arithmetic with the reference model.
"""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

__all__ = ["Format", "Linear", "Log2", "Piecewise"]


@dataclass(frozen=True)
class Linear:
    """Symmetric linear code of `bits` bits (2..8): value = q, |q| <= 2^(bits-1) - 1.

    -2^(bits-1) is not a legal code. Codes are int8 at every width; in memory two codes of up to 4
    bits share a byte.
    """

    bits: int = 8

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 8:
            raise ValueError(f"bits: expected 2..8, got {self.bits!r}")

    @property
    def max_value(self) -> int:
        """Largest magnitude of a decoded value."""
        return (1 << (self.bits - 1)) - 1

    @property
    def code_width(self) -> int:
        """Bits of a stored code: 4 (two per byte) or 8."""
        return 4 if self.bits <= 4 else 8

    @property
    def dtype(self) -> type[np.signedinteger] | type[np.unsignedinteger]:
        """Type of an unpacked code."""
        return np.int8

    def __str__(self) -> str:
        return f"linear-{self.bits}"


@dataclass(frozen=True)
class Log2:
    """Log2 code: a sign s and an exponent field e of `exponent_bits` bits (3..5).

    value = 0 if e = 0, else (-1)^s * 2^(e-1)

    Codes are uint8: e in the low bits and s above it. The code s = 1, e = 0 decodes to 0 and no
    quantizer produces it.
    """

    exponent_bits: int = 4

    def __post_init__(self) -> None:
        if not 3 <= self.exponent_bits <= 5:
            raise ValueError(f"exponent bits: expected 3..5, got {self.exponent_bits!r}")

    @property
    def max_exponent(self) -> int:
        """Exponent of the largest value: the largest e - 1."""
        return (1 << self.exponent_bits) - 2

    @property
    def max_value(self) -> int:
        """Largest magnitude of a decoded value."""
        return 1 << self.max_exponent

    @property
    def code_width(self) -> int:
        """Bits of a stored code: 4 (two per byte) with 3 exponent bits, else 8."""
        return 4 if self.exponent_bits == 3 else 8

    @property
    def dtype(self) -> type[np.signedinteger] | type[np.unsignedinteger]:
        """Type of an unpacked code."""
        return np.uint8

    def __str__(self) -> str:
        return f"log2-{self.exponent_bits}"


@dataclass(frozen=True)
class Piecewise:
    """Piece-wise linear code of `bits` bits (4..8; 8 in hardware) with two regions.

        |q| < split:   value = q                                (region 1, units of 1/S1)
        |q| >= split:  value = sign(q) * (|q| - split + t) * r  (region 2, units of 1/S1)

    split is 2^(bits-2), r is `ratio` (1..63) and t is `offset` (0..63). An offset of -1 becomes
    rint((split - 1) / r). Codes are int8.
    """

    ratio: int = 9
    offset: int = -1
    bits: int = 8

    def __post_init__(self) -> None:
        if not 4 <= self.bits <= 8:
            raise ValueError(f"bits: expected 4..8, got {self.bits!r}")
        if not 1 <= self.ratio <= 63:
            raise ValueError(f"ratio: expected 1..63, got {self.ratio!r}")
        if self.offset == -1:
            object.__setattr__(self, "offset", round(Fraction(self.split - 1, self.ratio)))
        if not 0 <= self.offset <= 63:
            raise ValueError(f"offset: expected 0..63, got {self.offset!r}")

    @property
    def split(self) -> int:
        """Smallest |q| of region 2."""
        return 1 << (self.bits - 2)

    @property
    def max_code(self) -> int:
        """Largest |q|."""
        return (1 << (self.bits - 1)) - 1

    @property
    def max_value(self) -> int:
        """Largest magnitude of a decoded value, in units of 1/S1."""
        return max(self.split - 1, (self.max_code - self.split + self.offset) * self.ratio)

    @property
    def code_width(self) -> int:
        """Bits of a stored code."""
        return 8

    @property
    def dtype(self) -> type[np.signedinteger] | type[np.unsignedinteger]:
        """Type of an unpacked code."""
        return np.int8

    def __str__(self) -> str:
        return f"piecewise-{self.bits}(r={self.ratio},t={self.offset})"


Format = Linear | Log2 | Piecewise
