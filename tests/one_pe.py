"""An array of one PE on Icarus: codes in, one set of sums for each beat that ends a tile out."""

import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from golden.codec import decode
from golden.formats import Piecewise
from golden.modes import Mode
from hw.config import Config
from hw.verilog import generate
from hw.yosys import run_yosys

TESTBENCH = """
module bench;
  reg clk = 0, rst = 1, valid = 0;
  reg [{beat_width}-1:0] beat = 0;
  wire [{sum_width}-1:0] sums;
  wire drained;
  array dut (.clk(clk), .rst(rst), .valid(valid), .beat(beat), .sums(sums), .drained(drained));
  reg [{beat_width}+1:0] beats [0:{count}-1];
  integer i;
  always #1 clk = ~clk;
  always @(negedge clk) if (drained) $display("%b", sums);
  initial begin
    $readmemh("beats.hex", beats);
    repeat (16) @(negedge clk);
    rst = 0;
    for (i = 0; i < {count}; i = i + 1) begin
      {{rst, valid, beat}} = beats[i];
      @(negedge clk);
    end
    {{rst, valid}} = 0;
    repeat (16) @(negedge clk);
    $finish;
  end
endmodule
"""


@dataclass(frozen=True)
class Beats:
    """Beats of one mode: x codes [count, x_lanes], w codes [count, w_lanes], and flags [count]."""

    mode: Mode
    x: NDArray[np.integer]
    w: NDArray[np.integer]
    last: NDArray[np.bool_]
    valid: NDArray[np.bool_]
    reset: int | None = None
    """The index of a beat at which the array is reset instead."""


def pairs(mode: Mode, x_codes: NDArray[np.integer], w_codes: NDArray[np.integer]) -> Beats:
    """Every x code with every w code, in every lane, a product per tile; other lanes hold other codes."""
    x, w = (part.ravel() for part in np.meshgrid(x_codes, w_codes, indexing="ij"))
    x = np.stack([np.roll(x, 5 * lane) for lane in range(mode.x_lanes)], axis=1)
    w = np.stack([np.roll(w, 3 * lane) for lane in range(mode.w_lanes)], axis=1)
    every = np.ones(len(x), np.bool_)
    return Beats(mode, x, w, every, every)


def expected(beats: Beats) -> NDArray[np.int64]:
    """Sums [tiles, w_lanes, x_lanes] as integers, added up in NumPy."""
    x, w = decode(beats.x, beats.mode.x_format), decode(beats.w, beats.mode.w_format)
    products = np.where(beats.valid[:, None, None], w[:, :, None] * x[:, None, :], 0)
    totals = np.cumsum(products, axis=0)[beats.valid & beats.last]
    return np.diff(totals, axis=0, prepend=0)


def simulated(config: Config, beats: Beats, family: str = "generic") -> NDArray[np.int64]:
    """The same sums out of the generated Verilog, in which ECP5's cells are Yosys' own models of them."""
    layout, mode = config.beat_layout, beats.mode
    fmt = mode.w_format
    fields = {
        "x": _byte(beats.x),
        "w": _byte(beats.w),
        "mode": config.index(mode),
        "offset": fmt.offset if isinstance(fmt, Piecewise) else 0,
        "last": beats.last.astype(np.int64),
    }
    words = beats.valid.astype(np.int64) << layout.size
    if beats.reset is not None:
        words[beats.reset] = 2 << layout.size
    for name, value in fields.items():
        words = words | (value << layout[name].offset)
    bench = TESTBENCH.format(beat_width=layout.size, sum_width=config.sum_width, count=len(words))
    with TemporaryDirectory() as folder:
        Path(folder, "bench.sv").write_text(bench + _verilog(config, family))
        Path(folder, "beats.hex").write_text("\n".join(f"{word:x}" for word in words.tolist()))
        subprocess.run(["iverilog", "-g2012", "-o", "bench.vvp", "bench.sv"], cwd=folder, check=True)
        run = subprocess.run(
            ["vvp", "-n", "bench.vvp"], cwd=folder, check=True, capture_output=True, text=True
        )
    return np.array([_outputs(line, config, mode) for line in run.stdout.split() if set(line) <= {*"01"}])


def _byte(codes: NDArray[np.integer]) -> NDArray[np.int64]:
    if codes.shape[1] == 1:
        return codes[:, 0].astype(np.int64) & 0xFF
    return (codes[:, 0].astype(np.int64) & 0xF) | ((codes[:, 1].astype(np.int64) & 0xF) << 4)


def _outputs(sums: str, config: Config, mode: Mode) -> NDArray[np.int64]:
    lanes, offset = [], 0
    for width in sum(config.lanes, ()):
        field = int(sums[::-1][offset : offset + width][::-1], 2)
        lanes.append(field - (field >> (width - 1) << width))
        offset += width
    if isinstance(mode.w_format, Piecewise):
        lanes = [lanes[0] + lanes[1] * mode.w_format.ratio]
    return np.array(lanes[: mode.products]).reshape(mode.w_lanes, mode.x_lanes)


@lru_cache
def _verilog(config: Config, family: str) -> str:
    text = generate("array", config, family).text
    if family != "ecp5":
        return text
    script = (
        "read_verilog -sv design.v\nread_verilog -overwrite +/ecp5/cells_sim.v\nhierarchy -check -top array\n"
    )
    script += "proc -nomux\nflatten\nopt_clean\nwrite_verilog -sv -noattr flat.v"
    return run_yosys(script, inputs={"design.v": text}, outputs=["flat.v"])["flat.v"]
