"""The multiplier of look-up tables against Python's product, at corners and at random."""

import gc
from itertools import product
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.gateware.lib.row_multiplier import RowMultiplier
from tests.support.unit_run import rtl_run

SEED = 11


@pytest.mark.parametrize("widths", [(18, 15), (18, 16), (5, 7), (3, 2), (2, 1)])
def test_products(widths: tuple[int, int]) -> None:
    x_width, w_width = widths
    multiplier = RowMultiplier(x_width=x_width, w_width=w_width)
    low, high, most = -(1 << x_width - 1), (1 << x_width - 1) - 1, (1 << w_width) - 1
    corners = product((low, low + 1, -1, 0, 1, high), (0, 1, most >> 1, most - 1, most))
    rng = np.random.default_rng(SEED)
    pairs = [
        *corners,
        *zip(
            rng.integers(low, high + 1, 500).tolist(),
            rng.integers(0, most + 1, 500).tolist(),
            strict=True,
        ),
    ]
    late = multiplier.latency

    async def testbench(ctx: Any) -> None:
        for cycle in range(len(pairs) + late):
            if cycle >= late:
                x, w = pairs[cycle - late]
                assert ctx.get(multiplier.p) == x * w, (SEED, x, w)
            if cycle < len(pairs):
                x, w = pairs[cycle]
                ctx.set(multiplier.x, x)
                ctx.set(multiplier.w, w)
            await ctx.tick()

    simulator = Simulator(multiplier)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()


def test_every_product_of_small_operands() -> None:
    """Every pair, for each width from 1 to 4 bits."""
    for x_width, w_width in product(range(1, 5), repeat=2):
        multiplier = RowMultiplier(x_width=x_width, w_width=w_width)
        pairs = list(product(range(-(1 << x_width - 1), 1 << x_width - 1), range(1 << w_width)))
        stimulus = [{"x": x, "w": w} for x, w in pairs] + [{}] * multiplier.latency
        rows = rtl_run(multiplier, stimulus, ["p"])[multiplier.latency :]
        assert [p for (p,) in rows] == [x * w for x, w in pairs]


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize("name", ["x_width", "w_width"])
def test_refused_widths(name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected at least 1, got 0$"):
        RowMultiplier(**{"x_width": 4, "w_width": 4, name: 0})
    # A refused component warns that it is unused when it is collected: here, where that is ignored.
    gc.collect()
