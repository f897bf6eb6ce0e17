"""The harness holds the whole array; nextpnr's report becomes records."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from golden.spec.modes import mode
from hw.config import Config
from hw.flow.census import cells_by_unit
from hw.flow.harness import _instances, check, mapped
from hw.flow.pnr import _signal, _steps, place_and_route
from hw.flow.signoff import SignOff, sign_off
from hw.tools import nextpnr
from hw.tools.nextpnr import Algorithms, PlaceAndRouteError
from scripts.cli import run

CONFIG = Config(modes=(mode("w8a8"),), rows=2, cols=2)


@pytest.fixture(scope="module")
def netlist() -> str:
    return mapped(CONFIG)


def without(netlist: str, cell_type: str, part: str) -> str:
    """The netlist without one of the PE's cells of a type, one whose name holds `part`."""
    design = json.loads(netlist)
    cells = design["modules"]["pe"]["cells"]
    name = next(name for name, cell in cells.items() if cell["type"] == cell_type and part in name)
    del cells[name]
    return json.dumps(design)


def test_the_harness_has_four_pins_and_every_pe(netlist: str) -> None:
    design = json.loads(netlist)["modules"]
    assert sorted(design["harness"]["ports"]) == ["clk", "rst", "si", "so"]
    assert sum(cell["type"] == "pe" for cell in design["array"]["cells"].values()) == 4
    check(netlist, CONFIG)


def test_check_counts_pes(netlist: str) -> None:
    with pytest.raises(ValueError, match=r"^netlist: expected 6 PEs, got 4$"):
        check(netlist, Config(modes=CONFIG.modes, rows=2, cols=3))


def test_check_counts_multipliers(netlist: str) -> None:
    with pytest.raises(ValueError, match=r"^netlist: expected 1 MULT18X18D per PE, got 0$"):
        check(without(netlist, "MULT18X18D", ""), CONFIG)


@pytest.mark.parametrize(("cell", "what"), [("acc_0", "acc_*"), ("drain_o", "drain_o")])
def test_check_counts_sums(netlist: str, cell: str, what: str) -> None:
    message = f"netlist: expected 27 flip-flops of {what} per PE, got 26"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check(without(netlist, "TRELLIS_FF", cell), CONFIG)


def test_check_sees_a_build_of_another_width(netlist: str) -> None:
    with pytest.raises(
        ValueError, match=r"^netlist: expected 28 flip-flops of acc_\* per PE, got 27$"
    ):
        check(netlist, Config(modes=CONFIG.modes, rows=2, cols=2, k_max=8192))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "dsp"),
    [("wlog-a8", True), ("wlog-alog", True), ("w8a8", False), ("w4a4", False), ("wpw-a8", False)],
)
def test_every_kind_of_pe_is_held_whole(name: str, dsp: bool) -> None:
    mapped(Config(modes=(mode(name),), rows=2, cols=2, dsp=dsp))


@pytest.mark.slow
def test_place_and_route(netlist: str) -> None:
    seen: list[int] = []
    placements = place_and_route(netlist, "LFE5U-25F", (1, 2), progress=seen.append)
    assert seen == [placement.seed for placement in placements] == [1, 2]
    for placement in placements:
        assert placement.used["MULT18X18D"] == 4
        # A 27-bit adder behind a multiplier cannot be faster, nor as slow, on this part.
        assert 100 < placement.fmax_mhz < 400
        delay = sum(step.logic_ns + step.routing_ns for step in placement.path)
        assert delay == pytest.approx(1000 / placement.fmax_mhz, abs=0.02)
        assert all(
            "TRELLIS" not in step.signal and "$" not in step.signal for step in placement.path
        )
        record = json.loads(json.dumps(placement.record()))
        assert record["fmax_mhz"] == round(placement.fmax_mhz, 2)
        assert record["critical_path"][0].keys() == {"signal", "logic_ns", "routing_ns"}


def test_cells_by_unit(netlist: str) -> None:
    units = cells_by_unit(netlist, "array")
    assert units.keys() == {"array", "harness", "pe"}
    assert units["pe"].dsp == 4
    assert units["pe"].ff >= 4 * 2 * 27
    design = json.loads(netlist)["modules"]
    total = _instances(design, "harness")
    assert sum(cells.ff for cells in units.values()) == total["TRELLIS_FF"]
    assert sum(cells.lut4 for cells in units.values()) == total["LUT4"]


@pytest.mark.slow
def test_a_core_by_unit() -> None:
    config = Config(modes=CONFIG.modes, rows=2, cols=2, k_max=64)
    units = cells_by_unit(mapped(config, "core"), "core")
    parts = {
        "array",
        "collector",
        "controller",
        "drain",
        "feeder",
        "harness",
        "loader",
        "pe",
        "requantizer",
    }
    assert units.keys() >= parts | {"p_ring", "w_ring", "x_ring"}
    assert units["pe"].dsp == 4
    assert units["requantizer"].dsp == 8
    assert sum(cells.dsp for cells in units.values()) == 12
    assert units["shared"].comb < 0.02 * sum(cells.comb for cells in units.values())


@pytest.mark.slow
def test_sign_off_on_ice40_repeats() -> None:
    config = Config(modes=CONFIG.modes, rows=1, cols=2, k_max=64)
    kept: list[SignOff] = []
    first = sign_off("array", config, "iCE40UP5K", (1, 2), 50.0, done=kept.append)
    assert [len(each.placements) for each in kept] == [1, 2]
    assert kept[-1] == first
    record = first.record()
    assert record["fmax_mhz"].keys() == {"1", "2"}
    assert record["worst_fmax_mhz"] == min(record["fmax_mhz"].values())
    assert record["worst_slack_ns"] == pytest.approx(1000 / 50 - 1000 / record["worst_fmax_mhz"])
    assert record["cells_by_unit"]["pe"]["DSP"] == 2
    again = sign_off("array", config, "iCE40UP5K", (2,), 50.0).record()
    assert again["netlist_sha256"] == record["netlist_sha256"]
    assert again["fmax_mhz"]["2"] == record["fmax_mhz"]["2"]


@pytest.mark.slow
def test_a_part_that_is_too_small() -> None:
    config = Config(modes=CONFIG.modes, rows=3, cols=3, k_max=64)
    with pytest.raises(
        PlaceAndRouteError,
        match=r"^nextpnr on iCE40UP5K, seed 1: ERROR: Unable to place cell .* no BELs remaining",
    ):
        sign_off("array", config, "iCE40UP5K", (1,), 50.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (PlaceAndRouteError("ERROR: no way"), 1, "nextpnr on iCE40UP5K, seed 2: ERROR: no way"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
    ids=["routing fails", "interrupt"],
)
def test_what_was_finished_is_kept(
    error: BaseException,
    status: int,
    line: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    original = nextpnr.place_and_route

    def second_fails(
        folder: Path, family: str, part: list[str], seed: int, *options: Any
    ) -> dict[str, Any]:
        if seed == 2:
            raise error
        return original(folder, family, part, seed, *options)

    monkeypatch.setattr(nextpnr, "place_and_route", second_fails)
    words = "synth --unit pe --target ice40 --mode w8a8 --k-max 64 --pnr --clock 50"
    words += " --seed 1 --seed 2 --seed 3"
    assert run([*words.split(), "--json", str(tmp_path / "pe.json")]) == status
    assert capfd.readouterr().err.splitlines()[-1] == f"tilebert: {line}"
    kept = json.loads((tmp_path / "pe.json").read_text())
    assert kept["fmax_mhz"].keys() == {"1"}
    assert kept["worst_fmax_mhz"] == kept["fmax_mhz"]["1"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rounds", "runs"), [(60, ["place", "50"]), (0, ["place", "50", "48.75", "47.5", "route"])]
)
def test_routing_for_a_clock_is_given_up(
    netlist: str, rounds: int, runs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    original = nextpnr.invoke

    def watched(folder: Path, family: str, arguments: list[str], *limit: int) -> bool:
        insists = "--tmg-ripup" in arguments
        seen.append("place" if "--no-route" in arguments else "route")
        reached = original(folder, family, arguments, *limit)
        assert reached or insists
        if insists:
            (placed,) = json.loads((folder / "placed.json").read_text())["modules"].values()
            aim = placed["settings"]["target_freq"]
            seen[-1] = f"{float(aim) / 1e6:g}"
        if insists and reached:
            # As nextpnr itself understood it.
            clocks = json.loads((folder / "report.json").read_text())["fmax"].values()
            assert [clock["constraint"] for clock in clocks] == [50]
        return reached

    monkeypatch.setattr(nextpnr, "invoke", watched)
    monkeypatch.setattr(nextpnr, "ROUNDS", rounds)
    algorithms = Algorithms("static", "router2", persistent=True)
    (placement,) = place_and_route(netlist, "LFE5U-25F", (1,), 50.0, algorithms)
    assert seen == runs
    assert placement.used["MULT18X18D"] == 4
    assert placement.slack_ns > 0


def test_unknown_device(netlist: str) -> None:
    with pytest.raises(
        ValueError, match=r"^device: expected one of LFE5U-25F, .*, iCE40HX8K, got 'x'$"
    ):
        place_and_route(netlist, "x")


def test_a_netlist_that_nextpnr_refuses() -> None:
    with pytest.raises(PlaceAndRouteError, match="ERROR"):
        place_and_route("{", "LFE5U-25F", (1,))


@pytest.mark.parametrize(
    ("name", "signal"),
    [
        ("array.pe_0_1.multiplier.p[3]", "array.pe_0_1.multiplier.p[3]"),
        ("array.pe_0_1.acc_0_TRELLIS_FF_Q_19_DI_CCU2C_S1_CIN", "array.pe_0_1.acc_0"),
        ("array.pe_0_1.acc_0_TRELLIS_FF_Q_DI_CCU2C_S0$CCU2_COMB0", "array.pe_0_1.acc_0"),
        ("shifted_LUT4_Z", "shifted"),
        ("array.LUT4_count", "array.LUT4_count"),
    ],
)
def test_names(name: str, signal: str) -> None:
    assert _signal(name) == signal


def test_hops_for_one_signal_are_one_step() -> None:
    def hop(kind: str, delay: float, cell: str, net: str = "") -> dict[str, object]:
        return {"type": kind, "delay": delay, "to": {"cell": cell}, "net": net}

    path = [
        hop("clk-to-q", 0.5, "a_TRELLIS_FF_Q"),
        hop("routing", 1.0, "b_CCU2C_S0$CCU2_COMB0", "a[0]"),
        hop("logic", 0.4, "b_CCU2C_S0$CCU2_COMB0"),
        hop("routing", 0.0, "b_CCU2C_S0$CCU2_COMB1", "b_CCU2C_S0$CCU2_FCI_INT"),
        hop("logic", 0.1, "b_CCU2C_S0$CCU2_COMB1"),
        hop("routing", 0.2, "b_TRELLIS_FF_Q_1", "b_TRELLIS_FF_Q_1_DI"),
        hop("setup", 0.3, "b_TRELLIS_FF_Q_1"),
    ]
    steps = [
        (step.signal, round(step.logic_ns, 3), round(step.routing_ns, 3)) for step in _steps(path)
    ]
    assert steps == [("a[0]", 0.5, 1.0), ("b", 0.8, 0.2)]
