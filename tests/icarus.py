"""Verilog run cycle by cycle in Icarus Verilog: one word of inputs in, one word of outputs out."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from hw.verilog import Design

needs_icarus = pytest.mark.skipif(shutil.which("iverilog") is None, reason="Icarus Verilog is not installed")


class SimulationError(RuntimeError):
    """The compiler or the simulation stopped; the message is what it printed."""


def simulate(design: Design, stimulus: Sequence[int], folder: Path, models: Sequence[str] = ()) -> list[str]:
    """The outputs of `design` in every cycle, as hexadecimal words; unknown bits show as x.

    A word holds the ports in the design's order, lowest bits first; inputs without the clock, applied right after
    a clock edge, outputs taken right before the next. `models` is the Verilog of the cells that the design
    instantiates. Raises SimulationError.
    """
    inputs = [port for port in design.ports if port.direction == "input" and port.name != "clk"]
    outputs = [port for port in design.ports if port.direction == "output"]
    width = sum(port.width for port in inputs)
    connections = [".clk(clk)"]
    for bundle, ports in (("in", inputs), ("out", outputs)):
        offset = 0
        for port in ports:
            connections.append(f".{port.name}({bundle}[{offset} +: {port.width}])")
            offset += port.width
    bench = f"""
module bench;
    reg clk = 0;
    reg [{width - 1}:0] stimulus [0:{len(stimulus) - 1}];
    reg [{width - 1}:0] in;
    wire [{sum(port.width for port in outputs) - 1}:0] out;
    integer file, cycle;
    {design.top} dut ({", ".join(connections)});
    initial begin
        $readmemh("stimulus.hex", stimulus);
        file = $fopen("outputs.hex", "w");
        for (cycle = 0; cycle < {len(stimulus)}; cycle = cycle + 1) begin
            in = stimulus[cycle];
            #4 $fwrite(file, "%h\\n", out);
            #1 clk = 1;
            #5 clk = 0;
        end
        $finish;
    end
endmodule
"""
    (folder / "bench.v").write_text(bench)
    (folder / "design.v").write_text(design.text)
    (folder / "stimulus.hex").write_text("\n".join(f"{word:x}" for word in stimulus) + "\n")
    (folder / "models.v").write_text("\n".join(models))
    sources = ["bench.v", "design.v", "models.v"]
    _run(["iverilog", "-g2012", "-s", "bench", "-o", "bench.vvp", *sources], folder)
    _run(["vvp", "-n", "bench.vvp"], folder)
    return (folder / "outputs.hex").read_text().split()


def _run(command: list[str], folder: Path) -> None:
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if run.returncode != 0:
        raise SimulationError(run.stdout + run.stderr)
