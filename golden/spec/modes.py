"""Modes: the operand formats of a GEMM, products per PE and cycle, and widths of its sums."""

from dataclasses import dataclass
from typing import Literal, get_args

from golden.spec.formats import Format, Linear, Log2, Piecewise

__all__ = ["K_MAX", "MODE_NAMES", "Mode", "ModeName", "mode", "sum_width"]

K_MAX = 4096
"""Default bound on K, which sizes the accumulators."""

ModeName = Literal["w8a8", "w4a8", "w4a4", "wlog-a8", "wlog-alog", "wpw-a8"]
MODE_NAMES: tuple[str, ...] = get_args(ModeName)


@dataclass(frozen=True)
class Mode:
    """One operating mode of the array.

    A PE takes `x_lanes` codes of x and `w_lanes` codes of w per cycle and forms x_lanes * w_lanes
    products. `partial_bounds` holds the largest magnitude of one product in each accumulator of an
    output, at the worst run-time parameters: two accumulators for piece-wise codes, one otherwise.
    Raises ValueError for formats whose products exceed these bounds.
    """

    name: str
    x_format: Format
    w_format: Format
    x_lanes: int = 1
    w_lanes: int = 1
    partial_bounds: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if not self.partial_bounds:
            object.__setattr__(
                self, "partial_bounds", (self.x_format.max_value * self.w_format.max_value,)
            )
        # A copy with another format keeps the bounds. A wider format would overflow.
        if self.x_format.max_value * self.w_format.max_value > self.output_bound:
            raise ValueError(f"mode: {self.name} has no sums for {self.x_format} x {self.w_format}")

    @property
    def products(self) -> int:
        """Products per PE and cycle."""
        return self.x_lanes * self.w_lanes

    @property
    def output_bound(self) -> int:
        """Largest magnitude of one product in the delivered sum, at any run-time parameters."""
        if len(self.partial_bounds) == 1:
            return self.partial_bounds[0]
        return max(self.partial_bounds[0], 63 * self.partial_bounds[1])

    def accumulator_widths(self, k_max: int = K_MAX) -> tuple[int, ...]:
        """Width of each two's-complement accumulator that holds any sum of k_max products."""
        return tuple(sum_width(bound, k_max) for bound in self.partial_bounds)

    def output_width(self, k_max: int = K_MAX) -> int:
        """Bits of the delivered sum, before the bias."""
        return sum_width(self.output_bound, k_max)


def sum_width(bound: int, count: int) -> int:
    """Bits of a two's-complement register for any sum of `count` terms of at most `bound` each."""
    return (bound * count).bit_length() + 1


def mode(name: str, exponent_bits: int = 4) -> Mode:
    """Look up a mode by name; the log2 modes use `exponent_bits` (3 or 4, in wlog-a8 also 5).

    Raises ValueError for an unknown name, and in any mode for an impossible exponent width.
    """
    log2 = Log2(exponent_bits)
    match name:
        case "w8a8":
            return Mode(name, Linear(8), Linear(8))
        case "w4a8":
            return Mode(name, Linear(8), Linear(4), w_lanes=2)
        case "w4a4":
            return Mode(name, Linear(4), Linear(4), x_lanes=2, w_lanes=2)
        case "wlog-a8":
            return Mode(name, Linear(8), log2)
        case "wlog-alog":
            if exponent_bits > 4:
                raise ValueError(
                    f"exponent bits: expected 3 or 4 in wlog-alog, got {exponent_bits!r}"
                )
            return Mode(name, log2, log2)
        case "wpw-a8":
            # Region 1 reaches 63; region 2 reaches 63 + t at t = 63, before the ratio.
            return Mode(name, Linear(8), Piecewise(), partial_bounds=(127 * 63, 127 * 126))
    raise ValueError(f"mode: expected one of {', '.join(MODE_NAMES)}, got {name!r}")
