"""Registers behind block RAMs move into them where that changes nothing, and nowhere else."""

import json
from typing import Any

import pytest

from golden.commands import Ring
from hw.block_ram import with_output_registers
from hw.ring import RingBuffer
from hw.verilog import emit
from hw.yosys import READ_DESIGN, run_yosys


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
    """A block RAM of two bits, a register behind each, and a table that reads the second; `changes` to the second."""
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
    cells = {"ram": ram, "first": flip_flop(10, 20), "second": flip_flop(11, 21, **changes), "table": table}
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


def test_a_ring_gives_up_as_many_flip_flops_as_a_line_has_bits() -> None:
    ring = Ring(word=8, words=2048, bus=8)
    design = emit(RingBuffer(ring), "ring", "ecp5")
    script = f"{READ_DESIGN}\nsynth_ecp5 -top ring\nwrite_json netlist.json"
    mapped = run_yosys(script, inputs={"design.v": design.text}, outputs=["netlist.json"])["netlist.json"]

    def count(text: str, kind: str) -> int:
        cells = json.loads(text)["modules"]["ring"]["cells"].values()
        return sum(cell["type"] == kind for cell in cells)

    moved = with_output_registers(mapped)
    assert count(mapped, "TRELLIS_FF") - count(moved, "TRELLIS_FF") == 8 * ring.line
    assert count(mapped, "DP16KD") == count(moved, "DP16KD") > 0
    rams = [
        cell for cell in json.loads(moved)["modules"]["ring"]["cells"].values() if cell["type"] == "DP16KD"
    ]
    assert {cell["parameters"]["REGMODE_B"] for cell in rams} == {"OUTREG"}
