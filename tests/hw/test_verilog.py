"""The Verilog that simulators compile: condensed, and the same circuit still."""

import re

import pytest

from hw.tools.yosys import YosysError, run_yosys
from hw.verilog.design import condensed, generate
from tests.support.jobs import config

NUMBERS = """module top(p, \\q.x , s, a, b, c);
  input [15:0] p;
  input [7:0] \\q.x ;
  input s;
  output [26:0] a;
  output [26:0] b;
  output [30:0] c;
  wire [8:0] _1_;
  assign _1_ = { p[8:1], s };
  assign a = { p[15], p[15], p[15], p[15], p[15], p[15], p[15], p[15], p[15], p[15], p[15], p };
  assign b = s ? { p[13], p[13], p[13], p[13:4], p[4], p[4], \
\\q.x [7], \\q.x [7], \\q.x [7], \\q.x  , 4'h5 }
    : { p[9], p[9], p };
  assign c = { _1_[8], _1_[8], _1_, p[3], p[3], p[3], p[2:0], \
\\q.x [5], \\q.x [5], \\q.x , s, s, s };
endmodule
"""
"""Sign extensions of whole numbers and of parts, and repeated bits that extend nothing."""


def prove(first: str, second: str) -> None:
    """Raise YosysError unless both texts of a module `top` give the same outputs for all inputs."""
    script = []
    for name in ("first", "second"):
        script += [
            f"read_verilog -sv {name}.v",
            "hierarchy -check -top top",
            "proc",
            f"design -stash {name}",
        ]
    script += [f"design -copy-from {name} -as {name} top" for name in ("first", "second")]
    script += ["miter -equiv -flatten first second miter", "sat -verify -prove trigger 0 miter"]
    run_yosys("\n".join(script), inputs={"first.v": first, "second.v": second})


def test_condensed_text_is_the_same_circuit() -> None:
    text = condensed(NUMBERS)
    assert "{ 27'($signed(p)) }" in text
    assert "13'($signed(p[13:4]))" in text
    assert "11'($signed(_1_))" in text
    assert "{2{\\q.x [5]}}, \\q.x " in text
    assert not re.search(r"(\S+ ?\[\d+\]), \1", text)
    prove(NUMBERS, text)


@pytest.mark.parametrize("change", [("27'(", "26'("), ("$signed(p)", "p"), ("p[13:4]", "p[12:3]")])
def test_the_proof_can_fail(change: tuple[str, str]) -> None:
    wrong = condensed(NUMBERS).replace(*change)
    with pytest.raises(YosysError):
        prove(NUMBERS, wrong)


@pytest.mark.slow
def test_cleared_memories_are_loops() -> None:
    design = generate(
        "core", config("w8a8", rows=1, cols=1, k_max=8, x_words=16, w_words=16), flat=True
    )
    words = dict(
        re.findall(r"^  reg (?:\[\d+:0\] )?(\S+ ?) ?\[(\d+):0\];", design.flat, re.MULTILINE)
    )
    loops = re.findall(
        r"for \(int i = 0; i < (\d+); i = i \+ 1\) (\S+ ?) ?\[i\] = \d+'(?:h0+|d0);", design.flat
    )
    assert {name.strip(): int(count) - 1 for count, name in loops} == {
        name.strip(): int(last) for name, last in words.items()
    }
    assert len(words) > 3
