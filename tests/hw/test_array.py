"""A small array against NumPy: sums, and the cycle of each, by the formula of its docstring."""

import numpy as np
import pytest
from numpy.typing import NDArray

from golden.numeric.codec import all_codes, decode
from golden.spec.modes import mode
from hw.config import Config
from hw.gateware.array.array import Array
from tests.support.unit_run import rtl_run

SEED = 3
TILES = 6
BUILDS = {
    "w8a8": Config(modes=(mode("w8a8"),), rows=3, cols=2, k_max=64),
    "wlog-a8": Config(modes=(mode("wlog-a8"),), rows=2, cols=3, k_max=64),
    "rows": Config(modes=(mode("w8a8"), mode("wlog-a8", 3)), rows=1, cols=4, k_max=64, dsp=False),
    "single": Config(modes=(mode("w8a8"),), rows=1, cols=1, k_max=64),
}


@pytest.mark.parametrize("config", BUILDS.values(), ids=BUILDS)
def test_tiles(config: Config) -> None:
    """Tiles of several lengths with pauses; nothing drains but the expected sums, each on time."""
    rng = np.random.default_rng(SEED)
    array, each = Array(config), config.modes[0]
    stimulus, expected = [], {}
    for _ in range(TILES):
        depth = config.interval + int(rng.integers(0, 4))
        x = rng.choice(all_codes(each.x_format), (depth, config.rows))
        w = rng.choice(all_codes(each.w_format), (depth, config.cols))
        for k in range(depth):
            if rng.random() < 0.3:
                stimulus.append(step(config, x[0], w[0], last=True, valid=False))
            stimulus.append(step(config, x[k], w[k], last=k == depth - 1, valid=True))
        sums = decode(x, each.x_format).T @ decode(w, each.w_format)
        for (r, c), value in np.ndenumerate(sums):
            expected[len(stimulus) - 1 + array.latency + c + 2 * r, c] = int(value)
    idle = {"valid": 0}
    end = array.latency + config.cols + 2 * config.rows
    rows = rtl_run(array, [*stimulus, *[idle] * end], ["drained", "sums"])
    found = {}
    for cycle, (drained, sums) in enumerate(rows):
        for c in range(config.cols):
            if drained >> c & 1:
                field = sums >> c * config.sum_width & (1 << config.sum_width) - 1
                found[cycle, c] = field - (field >> (config.sum_width - 1) << config.sum_width)
    assert found == expected


def step(
    config: Config, x: NDArray[np.integer], w: NDArray[np.integer], last: bool, valid: bool
) -> dict[str, int]:
    """The inputs of one step in the build's first mode."""
    word = int(last) << config.step_layout["last"].offset
    for name, codes in (("x", x), ("w", w)):
        for index, code in enumerate(codes.tolist()):
            word |= (code & 0xFF) << config.step_layout[name].offset + 8 * index
    return {"step": word, "valid": int(valid)}
