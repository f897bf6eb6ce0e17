"""The target that designs are generated for: which modules synthesis keeps apart."""

import re

import pytest
from amaranth.back import rtlil

from golden.spec.modes import MODE_NAMES
from hw.target import Target
from hw.verilog.design import UNITS
from tests.support.jobs import config

APART = {
    "core": {"reset_stage", "array", "pe", "lane", "joiner", "requantizer", "column", "column_part"}
    | {"x_bank", "w_bank", "p_bank"},
    "array": {"pe", "reset_stage"},
    "drain": {"lane", "joiner", "requantizer"},
    "controller": set(),
}


@pytest.mark.slow
@pytest.mark.parametrize("unit", APART)
def test_modules_of_equal_registers_are_kept_apart(unit: str) -> None:
    target = Target("ecp5")
    component = UNITS[unit](config(*MODE_NAMES, rows=2, cols=2, k_max=64))
    rtlil.convert(component, name=unit, platform=target, emit_src=False)
    assert set(target.apart) <= target.modules.keys()
    # Names of variants end in widths or positions.
    stems = {re.sub(r"(_of)?_\d+(_even|_odd)?", "", name) for name in target.apart}
    assert stems == APART[unit]
    assert len(target.apart) == len(set(target.apart))


def test_an_unknown_family_is_refused() -> None:
    message = "target: expected one of generic, ecp5, ice40, xc7, got 'gal'"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Target("gal")
