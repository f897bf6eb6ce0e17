"""Sums of a PE: how wide its accumulator lanes are, and in which parts they drain."""

from collections.abc import Sequence

from golden.spec.modes import Mode
from hw import operands
from hw.operands import Product

LONGEST_SUM = 40
"""Bits of the longest sum that a shifter's adder forms in one cycle."""

Lanes = tuple[tuple[int, ...], ...]
"""Bits of each accumulator lane, lowest first, by half of the sum."""


def lanes_of(modes: Sequence[Mode], k_max: int) -> Lanes:
    """The lanes of a PE that serves these modes, for sums of up to `k_max` products.

    There are one or two halves of one or two lanes each. The halves hold what one cycle adds to
    separate sums: two packed outputs, or the two regions of a piece-wise output. Four packed
    outputs split each half into two lanes; other modes join them again.
    """
    halves = [0, 0]
    quad = 0
    for mode in modes:
        widths = mode.accumulator_widths(k_max)
        match mode.products:
            case 1:
                halves[: len(widths)] = [max(a, b) for a, b in zip(halves, widths, strict=False)]
            case 2:
                halves = [max(half, widths[0]) for half in halves]
            case 4:
                quad = widths[0]
    if quad:
        return tuple((quad, max(quad, half - quad)) for half in halves)
    return tuple((half,) for half in halves if half)


def parts_of(
    modes: Sequence[Mode], product: Product, lanes: Lanes, joined: bool
) -> tuple[tuple[int, bool], ...]:
    """The parts in which a PE's sums drain: bits, lowest first, and whether one is a cycle late."""
    if joined:
        return tuple(
            (width, late) for half in lanes for width, late in zip(half, (False, True), strict=True)
        )
    width = sum(map(sum, lanes))
    shifted = product is Product.SHIFTER and not operands.has_power_x(modes)
    if shifted and width > LONGEST_SUM:
        return (width // 2, False), (width - width // 2, True)
    return ((width, False),)
