"""The PE of log2 builds against golden: every pair of codes, extremes, bubbles."""

import numpy as np
import pytest

from golden.numeric.codec import all_codes
from golden.spec.modes import Mode, mode
from hw.config import Config
from hw.gateware.array.pe import PE
from hw.gateware.array.processing import pe_class
from hw.gateware.array.shift_pe import ShiftPE
from tests.support.one_pe import DEPTHS, Beats, expected, pairs, simulated
from tests.support.simulators import SIMULATORS

pytestmark = pytest.mark.slow

SEED = 20240311
BUILDS = {
    "wlog-a8-3": (mode("wlog-a8", 3),),
    "wlog-a8-4": (mode("wlog-a8", 4),),
    "wlog-a8-5": (mode("wlog-a8", 5),),
    "wlog-alog-3": (mode("wlog-alog", 3),),
    "wlog-alog-4": (mode("wlog-alog", 4),),
    "both-3": (mode("wlog-a8", 3), mode("wlog-alog", 3)),
    "both-4": (mode("wlog-alog", 4), mode("wlog-a8", 4)),
    "both-5-4": (mode("wlog-a8", 5), mode("wlog-alog", 4)),
}
CASES = [
    pytest.param(modes, mode, id=f"{name}-{mode.name}")
    for name, modes in BUILDS.items()
    for mode in modes
]
ON_SIMULATORS = pytest.mark.parametrize("simulator", SIMULATORS)
FAMILIES = pytest.mark.parametrize("family", ["generic", "ecp5"])


def build(modes: tuple[Mode, ...], family: str = "generic") -> Config:
    return Config(modes=modes, rows=1, cols=1, k_max=DEPTHS[family])


@ON_SIMULATORS
@FAMILIES
@pytest.mark.parametrize(("modes", "mode"), CASES)
def test_every_pair(modes: tuple[Mode, ...], mode: Mode, family: str, simulator: str) -> None:
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
    x = rng.choice(all_codes(mode.x_format), (2000, 1))
    w = rng.choice(all_codes(mode.w_format), (2000, 1))
    # A beat without `valid` keeps its operands and its `last`: neither may count.
    beats = Beats(mode, x, w, last=rng.random(2000) < 0.1, valid=rng.random(2000) < 0.7)
    np.testing.assert_array_equal(
        simulated(build(modes, family), beats, family, simulator), expected(beats)
    )


@ON_SIMULATORS
@FAMILIES
@pytest.mark.parametrize(("modes", "mode"), CASES)
def test_longest_sums(modes: tuple[Mode, ...], mode: Mode, family: str, simulator: str) -> None:
    k_max = DEPTHS[family]
    sign = 1 << mode.w_format.exponent_bits
    largest = all_codes(mode.x_format)[sign - 1 if mode.name == "wlog-alog" else -1]
    w = np.repeat(np.array([sign - 1, 2 * sign - 1, sign - 1], np.uint8), k_max)[:, None]
    x = np.full_like(w, largest, dtype=mode.x_format.dtype)
    last = np.arange(1, len(w) + 1) % k_max == 0
    beats = Beats(mode, x, w, last, np.ones_like(last))
    sums = expected(beats)[:, 0, 0]
    bound = mode.output_bound * k_max
    assert sums.tolist() == [bound, -bound, bound]
    np.testing.assert_array_equal(
        simulated(build(modes, family), beats, family, simulator)[:, 0, 0], sums
    )


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
@pytest.mark.parametrize("dsp", [False, True])
def test_log2_builds_have_no_multiplier(modes: tuple[Mode, ...], dsp: bool) -> None:
    config = Config(modes=modes, dsp=dsp)
    assert pe_class(config) is ShiftPE
    assert config.w_width == max(mode.w_format.exponent_bits for mode in modes) + 2


def test_other_builds_have_one() -> None:
    assert pe_class(Config(modes=(mode("w8a8"), mode("wlog-a8")))) is PE


def test_modes_it_does_not_serve() -> None:
    with pytest.raises(
        ValueError, match="exponent bits: expected 3 or 4 beside modes other than log2, got 5"
    ):
        Config(modes=(mode("w8a8"), mode("wlog-a8", 5)))
