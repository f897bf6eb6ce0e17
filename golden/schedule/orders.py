"""Tile orders: which operand stays resident and in what blocks, chosen by predicted cycles."""

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby

from golden.schedule.commands import generate_commands
from golden.schedule.tiling import Order, Tiling
from golden.schedule.timing import predict
from golden.spec.commands import RingName

__all__ = ["best_orders"]

_REPEATED = 4
"""At most this many equal neighbouring jobs are scheduled per candidate order.

They are enough to show how one job affects the next.
"""

_TRIED = 3
"""Block counts tried per operand: the fewest that fit the rings, and the next larger ones."""


def best_orders(tilings: Sequence[Tiling]) -> list[Order]:
    """Order of each job with the fewest predicted cycles.

    Equal neighbouring tilings (the heads of an attention) share one order. Raises ValueError for a
    tiling of which no block fits the rings.
    """
    orders: list[Order] = []
    for tiling, group in groupby(tilings):
        count = len(list(group))
        orders += [_best_order(tiling, min(count, _REPEATED))] * count
    return orders


@lru_cache(maxsize=4096)
def _best_order(tiling: Tiling, count: int) -> Order:
    """Order with the fewest predicted cycles for `count` equal jobs in a row."""
    cycles: dict[Order, int] = {}
    for order in _candidates(tiling):
        try:
            made = generate_commands([tiling] * count, lambda _: 0, [order] * count, (0, 0, 0))
        except ValueError:
            continue
        cycles[order] = predict(made.commands, tiling.geometry)
    if not cycles:
        raise ValueError(f"k: expected panels that fit the buffers, got K = {tiling.shape[1]}")
    return min(cycles, key=lambda order: cycles[order])


def _candidates(tiling: Tiling) -> Iterator[Order]:
    """Orders whose blocks are as equal in size as possible.

    With the fewest blocks, the other operand is reloaded least often. With more and smaller blocks,
    the ring has space to prefetch the next panels.
    """
    rings = tiling.geometry.rings
    for name, count in ((RingName.X, tiling.m_tiles), (RingName.W, tiling.n_tiles)):
        # A column tile's parameters stay resident with its w panel.
        resident = tiling.rings[:1] if name is RingName.X else tiling.rings[1:]
        most = max(1, min(rings[each].lines // tiling.lines(each, 0) for each in resident))
        blocks = -(-count // most)
        sizes = dict.fromkeys(-(-count // number) for number in range(blocks, blocks + _TRIED))
        for size in sizes:
            yield Order(name, size)
