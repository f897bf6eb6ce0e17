"""The links of every kind of PE: operands pass on one cycle later, sums move up the drain chain."""

import random

import pytest

from golden.spec.modes import MODE_NAMES, mode
from hw.config import Config
from hw.gateware.array.mesh import pe_inputs
from hw.gateware.array.processing import processing_element
from hw.verilog.design import emit
from tests.support.cycles import inputs_of
from tests.support.unit_run import member, rtl_run

SEED = 5
BUILDS = {
    "w8a8": Config(modes=(mode("w8a8"),)),
    "wpw-a8": Config(modes=(mode("wpw-a8"),)),
    "all": Config(modes=tuple(mode(name) for name in MODE_NAMES)),
    "shifter": Config(modes=(mode("wlog-a8"),)),
    "crossing": Config(modes=(mode("wlog-alog"),)),
    "rows": Config(modes=(mode("w8a8"), mode("wpw-a8")), dsp=False),
}


@pytest.mark.parametrize("config", BUILDS.values(), ids=BUILDS)
def test_operands_pass_on(config: Config) -> None:
    """West to east and north to south, every field, one cycle later."""
    source = random.Random(SEED)
    pe = processing_element(config)
    links = {"west.x": "east.x", "west.tag": "east.tag", "north.w": "south.w"}
    if config.has_regions:
        links["north.region"] = "south.region"
    widths = {name: len(member(pe, name)) for name in links}
    stimulus = [
        {name: source.getrandbits(width) for name, width in widths.items()} for _ in range(200)
    ]
    rows = rtl_run(pe, stimulus, list(links.values()))
    masks = [(1 << width) - 1 for width in widths.values()]
    found = [[value & mask for value, mask in zip(row, masks, strict=True)] for row in rows]
    assert found[1:] == [list(inputs.values()) for inputs in stimulus[:-1]]


@pytest.mark.parametrize("config", BUILDS.values(), ids=BUILDS)
def test_drain_chain(config: Config) -> None:
    """Without `last`, `drain_o` is `drain_i` one cycle later."""
    source = random.Random(SEED)
    pe = processing_element(config)
    sums = [source.getrandbits(config.sum_width) for _ in range(100)]
    rows = rtl_run(pe, [{"drain_i": each} for each in sums], ["drain_o"])
    # After a reset each stage of the tag ends a tile.
    settled = pe.latency + 2
    assert [drained for (drained,) in rows[settled:]] == sums[settled - 1 : -1]


@pytest.mark.parametrize("config", BUILDS.values(), ids=BUILDS)
def test_latency(config: Config) -> None:
    """`last` shows in the lowest sums at `drain_o`, whose chain carries ones, `latency` later."""
    pe = processing_element(config)
    first, ones = 20, (1 << config.sum_width) - 1
    stimulus = [{"drain_i": ones}] + [{}] * 40
    stimulus[first] = {"west.tag": 1}
    stimulus[first + 1] = {"west.tag": 0}
    rows = rtl_run(pe, stimulus, ["drain_o"])
    low = [drained & 1 for (drained,) in rows]
    assert [n for n in range(first, len(low)) if low[n] == 0] == [first + pe.latency]


@pytest.mark.parametrize("config", BUILDS.values(), ids=BUILDS)
def test_names_of_inputs(config: Config) -> None:
    """Those of the Verilog module."""
    inputs = inputs_of(emit(processing_element(config), "pe"))
    assert pe_inputs(config) == [port.name for port in inputs if port.name != "rst"]
