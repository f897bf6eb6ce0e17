"""Sums in the order in which a PE column drains them, and the results expected for them."""

import random

from golden.numeric.requantize import requantize_value
from golden.spec.commands import Output
from golden.spec.modes import Mode
from hw.config import Config


def random_sums(draw: random.Random, config: Config, mode: Mode) -> list[int]:
    """Sums of one PE in a mode: one per product, or the low and the high of a piece-wise code."""
    bounds = [bound * config.k_max for bound in mode.partial_bounds]
    if mode.products > 1:
        bounds = bounds * mode.products
    choices = [(-bound, bound, 0, draw.randint(-bound, bound)) for bound in bounds]
    return [draw.choice(choice) for choice in choices]


def packed(config: Config, mode: Mode, sums: list[int]) -> int:
    """The bits of a PE's accumulators: fields of halves, the lowest first."""
    halves = [sum(widths) for widths in config.lanes]
    fields = [width for widths in config.lanes for width in widths]
    widths = fields if mode.products == 4 else halves
    bits = offset = 0
    for width, value in zip(widths, sums, strict=False):
        bits |= (value & (1 << width) - 1) << offset
        offset += width
    return bits


def sum_of(mode: Mode, sums: list[int], row: int, column: int, ratio: int) -> int:
    """The sum of one result in its PE: row and column within the tile."""
    if mode.products == 4:
        return sums[2 * (column % 2) + row % 2]
    if mode.products == 2:
        return sums[column % 2]
    return sums[0] + ratio * sums[1] if len(sums) == 2 else sums[0]


def result_of(total: int, output: Output, bias: int, mult: int, shift: int) -> int:
    """What leaves the core for a sum."""
    if output is Output.SUM:
        return total
    if output is Output.BIASED:
        return total + bias
    return requantize_value(total, bias, mult, shift, 4 if output is Output.FOUR else 8)


def random_scaling(draw: random.Random) -> dict[str, int]:
    """Legal parameters of a column, half of them with results in range."""
    bias = draw.randint(-(1 << 31), (1 << 31) - 1) if draw.random() < 0.5 else draw.randint(-99, 99)
    return {"bias": bias, "mult": draw.getrandbits(15), "shift": draw.choice((8, 20, 30, 47))}
