"""A floor plan gives every block a site of its own, and leaves the netlist what it was."""

import json
from collections import Counter
from typing import Any

import pytest

from golden.spec.modes import mode
from hw.config import Config
from hw.flow.families import DEVICES
from hw.flow.floorplan import floorplanned
from hw.flow.harness import _instances, mapped
from hw.flow.sites import Site, sites_of

pytestmark = pytest.mark.slow

CONFIG = Config(modes=(mode("w8a8"),), rows=4, cols=3)
KINDS = ("MULT18X18D", "DP16KD")


@pytest.fixture(scope="module")
def netlist() -> str:
    return mapped(CONFIG, "core")


@pytest.fixture(scope="module")
def sites() -> dict[str, list[Site]]:
    return sites_of("LFE5U-25F")


def blocks(netlist: str) -> dict[str, dict[str, Any]]:
    """By path, all levels."""
    modules = json.loads(netlist)["modules"]

    def below(name: str, path: str) -> dict[str, dict[str, Any]]:
        found = {}
        for instance, cell in modules[name]["cells"].items():
            if cell["type"] in KINDS:
                found[f"{path}{instance}"] = cell
            elif cell["type"] in modules:
                found |= below(cell["type"], f"{path}{instance}.")
        return found

    return below("harness", "")


def test_a_device_has_as_many_sites_as_blocks(sites: dict[str, list[Site]]) -> None:
    assert {kind: len(set(each)) for kind, each in sites.items()} == DEVICES["LFE5U-25F"].blocks
    assert sites_of("iCE40UP5K") == {}


def test_every_block_has_a_site_of_its_own(netlist: str, sites: dict[str, list[Site]]) -> None:
    placed = blocks(floorplanned(netlist, CONFIG, sites))
    assert placed.keys() == blocks(netlist).keys()
    for kind in KINDS:
        chosen = [cell["attributes"]["BEL"] for cell in placed.values() if cell["type"] == kind]
        assert len(set(chosen)) == len(chosen) > 0
        assert set(chosen) <= {site.name for site in sites[kind]}


def test_pes_stand_in_order(netlist: str, sites: dict[str, list[Site]]) -> None:
    """Columns from the left; rows from the top, as far as there are rows of multipliers."""
    placed = blocks(floorplanned(netlist, CONFIG, sites))
    by_name = {site.name: site for site in sites["MULT18X18D"]}

    def site(row: int, column: int) -> Site:
        (path,) = [path for path in placed if f"pe_{row}_{column}." in path]
        return by_name[placed[path]["attributes"]["BEL"]]

    for row in range(CONFIG.rows):
        xs = [site(row, column).x for column in range(CONFIG.cols)]
        assert xs == sorted(set(xs))
    for column in range(CONFIG.cols):
        ys = [site(row, column).y for row in range(CONFIG.rows)]
        assert ys == sorted(ys, reverse=True)


def test_the_netlist_stays_what_it_was(netlist: str, sites: dict[str, list[Site]]) -> None:
    """All cells, all connections; only what blocks are called on the part is new."""

    def flat(netlist: str) -> Counter[str]:
        modules = json.loads(netlist)["modules"]
        cells = _instances(modules, "harness")
        return Counter(
            {
                kind: count
                for kind, count in cells.items()
                if kind not in modules or not modules[kind]["cells"]
            }
        )

    planned = floorplanned(netlist, CONFIG, sites)
    assert flat(planned) == flat(netlist)
    before, after = blocks(netlist), blocks(planned)
    for path, cell in after.items():
        assert cell["attributes"].pop("BEL")
        assert cell == before[path]


def test_too_many_blocks_are_for_the_placer_to_refuse(
    netlist: str, sites: dict[str, list[Site]]
) -> None:
    few = {**sites, "MULT18X18D": sites["MULT18X18D"][:3]}
    assert floorplanned(netlist, CONFIG, few) == netlist
