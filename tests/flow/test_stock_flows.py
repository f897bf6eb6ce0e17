"""The delivered text through the synthesis commands of Yosys' users, without options of ours.

Hours for all of them: `make stock`. CI runs those of `IN_CI`.
"""

import pytest

from golden.spec.modes import MODE_NAMES
from hw.tools.yosys import run_yosys
from hw.verilog.design import generate
from tests.support.jobs import config

FLOWS = [("generic", flow) for flow in ("synth_ecp5", "synth_ice40", "synth_xilinx", "synth_gowin")]
FLOWS += [("ecp5", "synth_ecp5")]
UNITS = ("pe", "array", "core")
IN_CI = ("pe", "array")
"""Units that CI puts through every flow, all modes in one build."""


def cases() -> list:
    """Each mode alone and all in one, with multiplier blocks and without, at 2 x 2.

    All modes in one core also at 8 x 8.
    """
    found = []
    for unit in UNITS:
        for family, flow in FLOWS:
            for modes in (*((name,) for name in MODE_NAMES), MODE_NAMES):
                # Without blocks a build has one mode.
                for dsp in (True, False) if len(modes) == 1 else (True,):
                    every = len(modes) > 1
                    marks = [pytest.mark.in_ci] if every and unit in IN_CI else [pytest.mark.long]
                    name = "all" if every else modes[0]
                    label = f"{unit}-{name}{'' if dsp else '-no-dsp'}-{family}-{flow}"
                    found.append(
                        pytest.param(unit, modes, dsp, 2, family, flow, marks=marks, id=label)
                    )
    largest = ("core", MODE_NAMES, True, 8, "generic", "synth_ecp5")
    return [
        *found,
        pytest.param(*largest, marks=[pytest.mark.long], id="core-all-8x8-generic-synth_ecp5"),
    ]


@pytest.mark.parametrize(("unit", "modes", "dsp", "size", "family", "flow"), cases())
def test_stock_flow(
    unit: str, modes: tuple[str, ...], dsp: bool, size: int, family: str, flow: str
) -> None:
    design = generate(unit, config(*modes, rows=size, cols=size, dsp=dsp), family)
    script = "read_verilog -sv design.v\nhierarchy -auto-top\n"
    script += f"{flow}\ncheck -assert\ntee -q -o cells.txt stat"
    cells = run_yosys(script, inputs={"design.v": design.text}, outputs=["cells.txt"])["cells.txt"]
    assert "$_" not in cells
    assert "=== " in cells
