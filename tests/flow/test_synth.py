"""What units cost, counted by Yosys: deterministic, so bars are asserted as they stand."""

import json
from pathlib import Path

import pytest

from hw.flow.families import FAMILIES
from hw.flow.synth import synthesize
from scripts.cli import run
from tests.support.jobs import config

pytestmark = pytest.mark.slow

KEYS = {"LUT4", "CCU2C", "COMB", "FF", "DSP", "BRAM"}


def test_the_w8a8_array_on_ecp5_with_the_multiplier_inferred(tmp_path: Path) -> None:
    file = tmp_path / "synth.json"
    assert run(["synth", "--json", str(file)]) == 0
    record = json.loads(file.read_text())
    assert record.keys() >= {"unit", "modes", "rows", "cols", "target", "device", "cells", "per_pe"}
    assert record["cells"].keys() == record["per_pe"].keys() == KEYS
    assert record["cells"]["DSP"] == 64
    assert record["cells"]["COMB"] == record["cells"]["LUT4"] + 2 * record["cells"]["CCU2C"]
    assert record["per_pe"]["COMB"] <= 66
    assert record["per_pe"]["FF"] <= 100


@pytest.mark.parametrize("target", FAMILIES)
@pytest.mark.parametrize("unit", ["pe", "array", "core"])
def test_every_unit_maps_to_every_part(unit: str, target: str) -> None:
    small = config("w8a8", rows=2, cols=2, k_max=64, panels=1, results=1, bus=2)
    cells = synthesize(unit, small, target).cells
    pes = 1 if unit == "pe" else 4
    # Sums and drained sums at least: nothing was folded away.
    assert cells.ff >= pes * 2 * 21
    assert cells.dsp >= pes
    assert cells.comb > 0


def test_counts_repeat() -> None:
    first, second = (synthesize("pe", config("w8a8"), "ecp5").cells for _ in range(2))
    assert first == second
