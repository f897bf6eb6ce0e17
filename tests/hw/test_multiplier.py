"""The multiplier's primitives against the plain operator and against NumPy, cycle by cycle."""

import gc
import random
import re
from dataclasses import replace
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from amaranth import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from golden.spec.modes import MODE_NAMES, mode
from hw.config import Config
from hw.gateware.array.pe import PE
from hw.gateware.lib.multiplier import Multiplier
from hw.verilog.design import Design, emit
from tests.support.cycles import MODELS, inputs_of, simulate, stimulus_of, values_at
from tests.support.simulators import SIMULATORS, SimulationError

pytestmark = pytest.mark.slow

WIDTHS = [(8, 8), (8, 16), (8, 18), (11, 18), (16, 16), (16, 18), (18, 18), (1, 1)]
CONFIGS = {name: Config(modes=(mode(name),)) for name in MODE_NAMES}
CONFIGS["all"] = Config(modes=tuple(mode(name) for name in MODE_NAMES))
SEED = 20240
ON_SIMULATORS = pytest.mark.parametrize("simulator", SIMULATORS)


class Multipliers(wiring.Component):
    """One multiplier of each width: a program of each family then serves the tests of all."""

    def __init__(self):
        members = {}
        for index, (x_width, w_width) in enumerate(WIDTHS):
            members |= {
                f"x{index}": In(x_width),
                f"w{index}": In(w_width),
                f"p{index}": Out(x_width + w_width),
            }
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for index, widths in enumerate(WIDTHS):
            m.submodules[f"multiplier_{index}"] = multiplier = Multiplier(
                x_width=widths[0], w_width=widths[1]
            )
            for name in "xw":
                m.d.comb += getattr(multiplier, name).eq(getattr(self, f"{name}{index}"))
            m.d.comb += getattr(self, f"p{index}").eq(multiplier.p)
        return m


@cache
def design_of(family: str, *widths: int) -> Design:
    """One multiplier, or one of each width."""
    return (
        emit(Multiplier(x_width=widths[0], w_width=widths[1]), "multiplier", family)
        if widths
        else emit(Multipliers(), "all", family)
    )


def products(
    family: str, x: np.ndarray, w: np.ndarray, widths: tuple[int, int], simulator: str, folder: Path
) -> np.ndarray:
    """What p shows for each pair, `latency` cycles after it."""
    design, index = design_of(family), WIDTHS.index(widths)
    late = Multiplier.latency
    pad = np.zeros(late, np.int64)
    stimulus = stimulus_of(
        design, **{f"x{index}": np.append(x, pad), f"w{index}": np.append(w, pad)}
    )
    outputs = simulate(design, stimulus, simulator, folder, MODELS[family])
    values = np.array(values_at(design, f"p{index}", outputs), np.int64)
    # Registers start at zero, on a device as in the plain operator.
    assert set(values[:late]) == {0}
    width = sum(widths)
    return values[late:] - (values[late:] >> width - 1 << width)


def extremes(width: int) -> list[int]:
    """Both ends and their neighbours, the middle, and every single bit set and cleared."""
    low, high = -(1 << width - 1), (1 << width - 1) - 1
    near = {low, min(low + 1, high), -1, 0, min(1, high), max(high - 1, low), high}
    bits = [1 << bit for bit in range(width - 1)]
    return sorted(near | set(bits) | {~bit for bit in bits})


@ON_SIMULATORS
@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("widths", WIDTHS)
def test_extremes(family: str, widths: tuple[int, int], simulator: str, tmp_path: Path) -> None:
    x, w = np.array(list(product(*map(extremes, widths)))).T
    assert np.array_equal(products(family, x, w, widths, simulator, tmp_path), x * w)


@ON_SIMULATORS
@pytest.mark.parametrize("family", MODELS)
@pytest.mark.parametrize("widths", WIDTHS)
def test_random(family: str, widths: tuple[int, int], simulator: str, tmp_path: Path) -> None:
    print(f"seed {SEED}")
    source = np.random.default_rng(SEED)
    x, w = (source.integers(-(1 << width - 1), 1 << width - 1, 4000) for width in widths)
    assert np.array_equal(products(family, x, w, widths, simulator, tmp_path), x * w)


@ON_SIMULATORS
@pytest.mark.parametrize("family", MODELS)
def test_every_pair_of_bytes(family: str, simulator: str, tmp_path: Path) -> None:
    x, w = np.array(list(product(range(-128, 128), repeat=2))).T
    assert np.array_equal(products(family, x, w, (8, 8), simulator, tmp_path), x * w)


@ON_SIMULATORS
@pytest.mark.parametrize("family", ["ecp5", "xc7"])
@pytest.mark.parametrize("name", CONFIGS)
def test_pe_with_primitive(name: str, family: str, simulator: str, tmp_path: Path) -> None:
    """The whole PE, every output in every cycle, resets in between."""
    print(f"seed {SEED}")
    source = random.Random(SEED)
    designs = {each: emit(PE(CONFIGS[name]), "pe", each) for each in ("generic", family)}
    assert designs["generic"].ports == designs[family].ports
    ports = inputs_of(designs["generic"])
    stimulus = []
    for _ in range(3000):
        word = offset = 0
        for port in ports:
            value = source.getrandbits(port.width)
            if port.name == "rst":
                value = int(source.random() < 0.01)
            elif port.name in ("west__x", "north__w") and source.random() < 0.2:
                value = source.choice(
                    (0, 1, (1 << port.width) - 1, 1 << port.width - 1, (1 << port.width - 1) - 1)
                )
            elif port.name == "west__tag":
                # `last` is the lowest field: rare enough for sums to grow.
                value = value & ~1 | int(source.random() < 0.05)
            word |= value << offset
            offset += port.width
        stimulus.append(word)
    expected = simulate(designs["generic"], stimulus, simulator, tmp_path)
    assert len(set(expected)) > 1000
    assert not any("x" in word for word in expected)
    assert simulate(designs[family], stimulus, simulator, tmp_path, MODELS[family]) == expected


@ON_SIMULATORS
@pytest.mark.parametrize("name", CONFIGS)
def test_a_reset_of_one_cycle_clears_a_pe(name: str, simulator: str, tmp_path: Path) -> None:
    """Operands before and at the reset, none after it: the next sums are zero."""
    design = emit(PE(CONFIGS[name]), "pe")
    ports = inputs_of(design)
    source = random.Random(SEED)
    stimulus = []
    for cycle in range(60):
        word = offset = 0
        for port in ports:
            value = source.getrandbits(port.width) if cycle <= 20 and port.name != "drain_i" else 0
            match port.name:
                case "rst":
                    value = int(cycle == 20)
                case "west__tag":
                    value = value & ~1 | int(cycle in (10, 40))
            word |= value << offset
            offset += port.width
        stimulus.append(word)
    drained = values_at(design, "drain_o", simulate(design, stimulus, simulator, tmp_path))
    assert len(set(drained[:20])) > 1
    # Until what was in flight has passed, sums of it may drain; the `last` in cycle 40 captures
    # nothing else.
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


def outputs_of(
    family: str, pattern: str, replacement: str, simulator: str, folder: Path
) -> tuple[list[str], list[str]]:
    """Outputs of the plain operator and of a changed primitive, for the same 18 x 18 operands."""
    x, w = np.array(list(product(extremes(18), repeat=2))).T
    plain, design = (design_of(each, 18, 18) for each in ("generic", family))
    stimulus = stimulus_of(plain, x=x, w=w)
    text, count = re.subn(pattern, replacement, design.text, flags=re.DOTALL)
    assert count == 1
    changed = simulate(replace(design, text=text), stimulus, simulator, folder, MODELS[family])
    return simulate(plain, stimulus, simulator, folder), changed


@ON_SIMULATORS
@pytest.mark.parametrize(("family", "name"), [(f, n) for f in MUTATIONS for n in MUTATIONS[f]])
def test_a_wrong_instance_is_seen(family: str, name: str, simulator: str, tmp_path: Path) -> None:
    plain, changed = outputs_of(family, *MUTATIONS[family][name], simulator, tmp_path)
    assert plain != changed


@ON_SIMULATORS
@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (
            r'REG_OUTPUT_CLK\("CLK0"\)',
            'REG_OUTPUT_CLK("CLK1")',
            "a register's clock is not modelled",
        ),
        (r'REG_INPUTA_CE\("CE0"\)', 'REG_INPUTA_CE("CE3")', "a register's enable is not modelled"),
        (
            r'REG_OUTPUT_RST\("RST0"\)',
            'REG_OUTPUT_RST("RST1")',
            "a register's reset is not modelled",
        ),
        (r'RESETMODE\("SYNC"\)', 'RESETMODE("ASYNC")', "RESETMODE ASYNC is not modelled"),
        (r'GSR\("DISABLED"\)', 'GSR("ENABLED")', "GSR ENABLED is not modelled"),
        (
            r'GSR\("DISABLED"\)',
            'GSR("DISABLED"), .MULT_BYPASS("ENABLED")',
            "differs from its default",
        ),
        (
            r'GSR\("DISABLED"\)',
            'GSR("DISABLED"), .SOURCEB_MODE("C_SHIFT")',
            "the C operand is not modelled",
        ),
        (r"SOURCEA\(1'h0\)", "SOURCEA(1'h1)", "operands from a neighbour are not modelled"),
        # Of what is not connected Icarus makes an x, which the model refuses; Verilator refuses it
        # by itself.
        (
            r"SOURCEB\(1'h0\)",
            "SOURCEB()",
            "operands from a neighbour are not modelled|empty reference: 'SOURCEB'",
        ),
        (
            r"\.CE0\(1'h1\),",
            "",
            "CE0, RST0, SIGNEDA or SIGNEDB is not connected|missing pin: 'CE0'",
        ),
        (r"\.CE0\(1'h1\)", ".CE0(1'h1), .SRIA0(1'h0)", "SRIA0"),
    ],
)
def test_the_model_refuses_what_it_does_not_cover(
    pattern: str, replacement: str, message: str, simulator: str, tmp_path: Path
) -> None:
    with pytest.raises(SimulationError, match=message):
        outputs_of("ecp5", pattern, replacement, simulator, tmp_path)


@pytest.mark.filterwarnings("ignore::amaranth.hdl.UnusedElaboratable")
@pytest.mark.parametrize(
    ("x_width", "w_width", "name"), [(19, 18, "x_width"), (8, 19, "w_width"), (0, 8, "x_width")]
)
def test_widths(x_width: int, w_width: int, name: str) -> None:
    got = {"x_width": x_width, "w_width": w_width}[name]
    with pytest.raises(ValueError, match=f"^{name}: expected 1 to 18 bits, got {got}$"):
        Multiplier(x_width=x_width, w_width=w_width)
    # A refused component warns that it is unused when it is collected: here, where that is ignored.
    gc.collect()
