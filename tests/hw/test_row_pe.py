"""The multiplier-free PE of linear codes against golden: every pair of codes, extremes, bubbles."""

import re
from dataclasses import replace

import numpy as np
import pytest

from golden.numeric.codec import all_codes
from golden.spec.formats import Linear, Piecewise
from golden.spec.modes import Mode, mode
from hw.config import Config
from hw.gateware.array.pe import PE
from hw.gateware.array.processing import pe_class
from hw.gateware.array.row_pe import RowPE
from tests.support.one_pe import DEPTHS, Beats, expected, pairs, simulated
from tests.support.simulators import SIMULATORS

pytestmark = pytest.mark.slow

SEED = 20240312
PIECEWISE = replace(mode("wpw-a8"), w_format=Piecewise(63, 63))
MIXED = (mode("w8a8"), mode("wpw-a8"), mode("wlog-a8", 3), mode("wlog-alog", 3))
BUILDS = {
    "w8a8": (mode("w8a8"),),
    "w4a8": (mode("w4a8"),),
    "w4a4": (mode("w4a4"),),
    "wpw-a8": (PIECEWISE,),
    "w6a5": (replace(mode("w8a8"), x_format=Linear(5), w_format=Linear(6)),),
    "mixed": MIXED,
}
CASES = [
    pytest.param(modes, mode, id=f"{name}-{mode.name}")
    for name, modes in BUILDS.items()
    for mode in modes
]
ON_SIMULATORS = pytest.mark.parametrize("simulator", SIMULATORS)
FAMILIES = pytest.mark.parametrize("family", ["generic", "ecp5"])


def build(modes: tuple[Mode, ...], family: str = "generic") -> Config:
    return Config(modes=modes, rows=1, cols=1, dsp=False, k_max=DEPTHS[family])


@ON_SIMULATORS
@FAMILIES
@pytest.mark.parametrize("name", ["w8a8", "w4a8", "w4a4", "wpw-a8"])
def test_every_pair(name: str, family: str, simulator: str) -> None:
    (mode,) = modes = BUILDS[name]
    beats = pairs(mode, all_codes(mode.x_format), all_codes(mode.w_format))
    np.testing.assert_array_equal(
        simulated(build(modes, family), beats, family, simulator), expected(beats)
    )


@ON_SIMULATORS
@FAMILIES
@pytest.mark.parametrize(("modes", "mode"), CASES)
def test_random_tiles_with_bubbles(
    modes: tuple[Mode, ...], mode: Mode, family: str, simulator: str
) -> None:
    rng = np.random.default_rng(SEED)
    x = rng.choice(all_codes(mode.x_format), (4000, mode.x_lanes))
    w = rng.choice(all_codes(mode.w_format), (4000, mode.w_lanes))
    # A beat without `valid` keeps its operands and its `last`: neither may count.
    beats = Beats(mode, x, w, last=rng.random(4000) < 0.1, valid=rng.random(4000) < 0.7)
    np.testing.assert_array_equal(
        simulated(build(modes, family), beats, family, simulator), expected(beats)
    )


@ON_SIMULATORS
@FAMILIES
@pytest.mark.parametrize("name", ["w8a8", "w4a8", "w4a4", "wpw-a8"])
def test_longest_sums(name: str, family: str, simulator: str) -> None:
    (mode,) = modes = BUILDS[name]
    k_max = DEPTHS[family]
    signs = np.repeat([1, -1, 1], k_max)[:, None]
    x = np.repeat(all_codes(mode.x_format)[-1:], len(signs))[:, None].repeat(mode.x_lanes, axis=1)
    w = (all_codes(mode.w_format)[-1] * signs).astype(np.int8).repeat(mode.w_lanes, axis=1)
    last = np.arange(1, len(w) + 1) % k_max == 0
    beats = Beats(mode, x, w, last, np.ones_like(last))
    sums = expected(beats)
    assert np.all(np.abs(sums) == mode.output_bound * k_max)
    np.testing.assert_array_equal(simulated(build(modes, family), beats, family, simulator), sums)


@ON_SIMULATORS
@pytest.mark.parametrize(("modes", "mode"), CASES)
def test_a_reset_of_one_cycle_clears_the_sum(
    modes: tuple[Mode, ...], mode: Mode, simulator: str
) -> None:
    rng = np.random.default_rng(SEED)
    x = rng.choice(all_codes(mode.x_format), (40, mode.x_lanes))
    w = rng.choice(all_codes(mode.w_format), (40, mode.w_lanes))
    last, valid = np.arange(40) == 39, np.ones(40, np.bool_)
    after = Beats(mode, x[21:], w[21:], last[21:], valid[21:])
    beats = Beats(mode, x, w, last, valid, reset=20)
    np.testing.assert_array_equal(
        simulated(build(modes), beats, "generic", simulator), expected(after)
    )


@pytest.mark.parametrize("modes", BUILDS.values(), ids=BUILDS)
def test_builds(modes: tuple[Mode, ...]) -> None:
    assert pe_class(build(modes)) is RowPE
    assert pe_class(Config(modes=modes)) is PE


@pytest.mark.parametrize("names", ["w8a8, w4a8", "w8a8, wlog-a8", "w4a8, w4a4", "w4a4, wpw-a8"])
def test_modes_it_does_not_serve_together(names: str) -> None:
    message = (
        "no-dsp: expected one mode, log2 modes only, or modes of one product with values within "
        f"+-127, got {names}"
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        Config(modes=tuple(mode(name) for name in names.split(", ")), dsp=False)
