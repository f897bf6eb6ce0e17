"""The Verilog test harness reports unknown bits, errors and differences on both simulators."""

from pathlib import Path

import pytest

from hw.verilog.design import Design, Port
from tests.support.cycles import simulate, stimulus_of, values_at
from tests.support.simulators import SIMULATORS, SimulationError, run

pytestmark = [pytest.mark.slow, pytest.mark.parametrize("simulator", SIMULATORS)]

HELD = """
module held(input clk, input load, input [7:0] d, output reg [7:0] q, output loaded);
    reg r = 0;
    always @(posedge clk) begin
        r <= load;
        if (load) q <= d;
    end
    assign loaded = r;
endmodule
"""
DESIGN = Design(
    "held",
    HELD,
    (
        Port("clk", "input", 1),
        Port("load", "input", 1),
        Port("d", "input", 8),
        Port("q", "output", 8),
        Port("loaded", "output", 1),
    ),
    (),
)


def test_outputs_are_those_before_the_edge(simulator: str, tmp_path: Path) -> None:
    stimulus = stimulus_of(DESIGN, load=[1, 0, 1, 0], d=[0x81, 0x18, -1, 0])
    words = simulate(DESIGN, stimulus, simulator, tmp_path)
    assert values_at(DESIGN, "q", words[1:]) == [0x81, 0x81, 0xFF]
    assert values_at(DESIGN, "loaded", words[1:]) == [1, 0, 1]


def test_what_nothing_sets_is_unknown(simulator: str, tmp_path: Path) -> None:
    words = simulate(DESIGN, stimulus_of(DESIGN, load=[0, 1, 0], d=[1, 2, 3]), simulator, tmp_path)
    assert words == ["0xx", "0xx", "102"]
    with pytest.raises(ValueError, match="0xx"):
        values_at(DESIGN, "loaded", words)


def test_fatal_ends_the_run(simulator: str, tmp_path: Path) -> None:
    bench = (
        "module bench; initial begin "
        '#3 if ($time == 3) $fatal(1, "held: so it ends"); end endmodule'
    )
    with pytest.raises(SimulationError, match="held: so it ends"):
        run({"bench.v": bench}, simulator, tmp_path)


def test_a_wrong_text_is_refused(simulator: str, tmp_path: Path) -> None:
    with pytest.raises(SimulationError, match=r"bench\.v:1"):
        run({"bench.v": "module bench; wire w = nothing; endmodule"}, simulator, tmp_path)


def test_arguments_reach_the_bench(simulator: str, tmp_path: Path) -> None:
    bench = (
        "module bench; integer n; "
        'initial if ($value$plusargs("n=%d", n)) $display("n is %0d", n); endmodule'
    )
    assert "n is 17" in run({"bench.v": bench}, simulator, tmp_path, ["+n=17"])
