"""Registers behind block RAMs move into them where that changes nothing, and nowhere else."""

import json
from typing import Any

import pytest

from golden.spec.commands import Ring
from golden.spec.modes import mode
from hw.config import Config
from hw.flow.block_ram import with_output_registers
from hw.flow.synth import READ_DESIGN
from hw.gateware.core.operand_buffer import OperandBuffer
from hw.tools.yosys import run_yosys
from hw.verilog.design import emit

DEFAULT = Config(modes=(mode("wlog-a8", 3),), rows=32, k_max=1536).x_ring
"""What a build has whose depth is no power of two."""


def flip_flop(data: int, q: int, **changes: Any) -> dict[str, Any]:
    """A TRELLIS_FF as Yosys writes it."""
    settings = {"CLKMUX": "CLK", "CEMUX": "1 ", "REGSET": "RESET", "LSRMUX": "LSR"}
    settings |= {name: value for name, value in changes.items() if name in settings}
    pins: dict[str, list[Any]] = {"CLK": [2], "DI": [data], "LSR": ["0"], "Q": [q]}
    pins |= {name: value for name, value in changes.items() if name in pins or name == "CE"}
    return {
        "type": "TRELLIS_FF",
        "parameters": settings,
        "port_directions": {name: "output" if name == "Q" else "input" for name in pins},
        "connections": pins,
    }


def netlist(**changes: Any) -> str:
    """A block RAM of two bits, a register behind each, and a table that reads the second.

    `changes` apply to the second register.
    """
    pins: dict[str, list[Any]] = {
        "CLKB": [2],
        "OCEB": ["1"],
        "DOB0": [10],
        "DOB1": [11],
        "DOB2": [12],
        "OCEA": ["1"],
    }
    ram = {
        "type": "DP16KD",
        "parameters": {"REGMODE_A": "NOREG", "REGMODE_B": "NOREG"},
        "port_directions": {name: "output" if name.startswith("DO") else "input" for name in pins},
        "connections": pins,
    }
    table = {
        "type": "LUT4",
        "parameters": {},
        "port_directions": {"A": "input", "Z": "output"},
        "connections": {"A": changes.pop("read", [21]), "Z": [30]},
    }
    cells = {
        "ram": ram,
        "first": flip_flop(10, 20),
        "second": flip_flop(11, 21, **changes),
        "table": table,
    }
    return json.dumps({"modules": {"top": {"cells": cells}}})


def test_registers_move_into_the_port() -> None:
    cells = json.loads(with_output_registers(netlist()))["modules"]["top"]["cells"]
    assert set(cells) == {"ram", "table"}
    assert cells["ram"]["parameters"] == {"REGMODE_A": "NOREG", "REGMODE_B": "OUTREG"}
    pins = cells["ram"]["connections"]
    assert (pins["DOB0"], pins["DOB1"], pins["DOB2"]) == ([20], [21], [12])
    assert cells["table"]["connections"]["A"] == [21]


@pytest.mark.parametrize(
    "change",
    [
        {"LSR": [5]},
        {"CE": [5], "CEMUX": "CE"},
        {"REGSET": "SET"},
        {"CLK": [6]},
        {"CLKMUX": "INV"},
        {"read": [11]},
    ],
    ids=["reset", "enable", "starts at 1", "other clock", "other edge", "read before"],
)
def test_other_registers_stay(change: dict[str, Any]) -> None:
    """All or none: the registers of a port have one setting."""
    before = netlist(**change)
    assert json.loads(with_output_registers(before)) == json.loads(before)


@pytest.mark.parametrize("plain", [True, False])
def test_a_port_of_36_bits_is_one(plain: bool) -> None:
    """Its upper half leaves through the other port's outputs."""
    design = json.loads(netlist())
    cells = design["modules"]["top"]["cells"]
    cells["ram"]["parameters"]["DATA_WIDTH_A"] = f"{36:032b}"
    pins = cells["ram"]["connections"]
    pins |= {"DOA0": [13], "OCEA": ["0"]}
    cells["ram"]["port_directions"]["DOA0"] = "output"
    cells["third"] = flip_flop(13, 23, **({} if plain else {"LSR": [5]}))
    moved = json.loads(with_output_registers(json.dumps(design)))
    if not plain:
        assert moved == design
        return
    ram = moved["modules"]["top"]["cells"]["ram"]
    assert set(moved["modules"]["top"]["cells"]) == {"ram", "table"}
    assert (ram["parameters"]["REGMODE_A"], ram["parameters"]["REGMODE_B"]) == ("OUTREG", "OUTREG")
    assert (ram["connections"]["DOA0"], ram["connections"]["OCEA"]) == ([23], ["1"])


@pytest.mark.slow
@pytest.mark.parametrize(
    "ring", [Ring(32, 2048, 8), Ring(32, 64, 8), DEFAULT], ids=["2048", "64", "default"]
)
def test_a_ring_gives_up_as_many_flip_flops_as_a_line_has_bits(ring: Ring) -> None:
    design = emit(OperandBuffer(ring), "ring", "ecp5")
    script = f"{READ_DESIGN}\nsynth_ecp5 -top ring\nwrite_json netlist.json"
    mapped = run_yosys(script, inputs={"design.v": design.text}, outputs=["netlist.json"])[
        "netlist.json"
    ]

    def cells(text: str) -> list[dict[str, Any]]:
        return list(json.loads(text)["modules"]["ring"]["cells"].values())

    def count(text: str, kind: str) -> int:
        return sum(cell["type"] == kind for cell in cells(text))

    moved = with_output_registers(mapped)
    assert count(mapped, "TRELLIS_FF") - count(moved, "TRELLIS_FF") == 8 * ring.line
    assert count(mapped, "DP16KD") == count(moved, "DP16KD") > 0
    modes = [cell["parameters"]["REGMODE_B"] for cell in cells(moved) if cell["type"] == "DP16KD"]
    assert set(modes) == {"OUTREG"}
