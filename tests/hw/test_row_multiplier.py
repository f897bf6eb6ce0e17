"""The multiplier of look-up tables against Python's product, at corners and at random."""

from itertools import product
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from hw.gateware.lib.row_multiplier import RowMultiplier

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
    late = RowMultiplier.latency_of(w_width)

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
