"""Self-checking testbench in plain Verilog for a delivered core.

It runs the self-test script and prints a one-line verdict.
"""

from hw.boards.selftest import Script
from hw.config import Config
from hw.gateware.output.drain import result_layout

__all__ = ["testbench"]

_BENCH = """// Self-checking bench of {top} in Verilog-2001: small GEMMs in every mode of the
// build, compared with golden's results. Compile it with {top}.sv in any simulator. The last line
// says PASS or FAIL.

module {top}_bench;
  reg clk = 0, rst = 1;
  reg [95:0] commands [0:{last_command}];
  reg [{load_high}:0] loads [0:{last_load}];
  reg [{result_high}:0] results [0:{last_result}];
  // Masks: a word's results beyond its count are undefined.
  reg [{result_high}:0] defined [0:{last_result}];
  integer given = 0, loaded = 0, answered = 0, taken = 0, cycles = 0, wrong = 0;
  // A 16-bit shift register stalls every stream at random; an offered payload stays offered until
  // it is transferred.
  reg [15:0] noise = 1;
  reg command_offered = 0, load_offered = 0;
  wire status_ready = noise[0] | noise[3], results_ready = noise[1] | noise[6];

  wire commands_ready, loads_ready, status_valid, results_valid;
  wire [3:0] status;
  wire [{result_high}:0] result;
  wire commands_valid = command_offered && given < {commands};
  wire loads_valid = load_offered && loaded < {loads};

  {top} dut (
    .clk(clk),
    .rst(rst),
    .commands__payload(commands[commands_valid ? given : 0]),
    .commands__valid(commands_valid),
    .commands__ready(commands_ready),
    .loads__payload(loads[loads_valid ? loaded : 0]),
    .loads__valid(loads_valid),
    .loads__ready(loads_ready),
    .status__payload(status),
    .status__valid(status_valid),
    .status__ready(status_ready),
    .results__payload(result),
    .results__valid(results_valid),
    .results__ready(results_ready)
  );

  always #5 clk = !clk;

  always @(posedge clk) if (!rst) begin
    cycles <= cycles + 1;
    noise <= {{noise[14:0], noise[15] ^ noise[13] ^ noise[12] ^ noise[10]}};
    if (!commands_valid || commands_ready) command_offered <= noise[2] | noise[9];
    if (!loads_valid || loads_ready) load_offered <= noise[4] | noise[11];
    if (commands_valid && commands_ready) given <= given + 1;
    if (loads_valid && loads_ready) loaded <= loaded + 1;
    if (status_valid && status_ready) begin
      if (status !== 0) begin
        if (wrong < {shown}) $display("command %0d: expected status 0, got %0d", answered, status);
        wrong <= wrong + 1;
      end
      answered <= answered + 1;
    end
    if (results_valid && results_ready) begin
      if (taken >= {results}) begin
        if (wrong < {shown}) $display("result %0d: expected none, got %h", taken, result);
        wrong <= wrong + 1;
      end else if (((result ^ results[taken]) & defined[taken]) !== 0) begin
        if (wrong < {shown})
          $display("result %0d: expected %h, got %h, mask %h",
                   taken, results[taken], result, defined[taken]);
        wrong <= wrong + 1;
      end
      taken <= taken + 1;
    end
    if (cycles == {cycles}) begin
      if (wrong == 0 && answered == {commands} && taken == {results})
        $display("PASS: {results} words of results equal golden's");
      else
        $display("FAIL: %0d wrong; %0d of {commands} answers, %0d of {results} words of results",
                 wrong, answered, taken);
      $finish;
    end
  end

  initial begin
{contents}
    repeat (4) @(negedge clk);
    rst = 0;
  end
endmodule
"""


_SHOWN = 5
"""Mismatches that are printed individually."""


def testbench(config: Config, script: Script, top: str) -> str:
    """Verilog of a module `top`_bench that drives the core `top` through `script` and checks it.

    All streams stall at times. Refused commands and resets during operation are not tested. The
    bench always runs for the script's full time, so that it detects surplus results.
    """
    layout = result_layout(config)
    masks = [_defined(config, word) for word in script.results]
    memories = {
        "commands": (96, script.commands),
        "loads": (8 * config.bus, script.loads),
        "results": (layout.size, script.results),
        "defined": (layout.size, masks),
    }
    contents = "\n".join(
        f"    {name}[{index}] = {width}'h{word:x};"
        for name, (width, words) in memories.items()
        for index, word in enumerate(words)
    )
    return _BENCH.format(
        top=top,
        last_command=len(script.commands) - 1,
        last_load=len(script.loads) - 1,
        last_result=len(script.results) - 1,
        load_high=8 * config.bus - 1,
        result_high=layout.size - 1,
        commands=len(script.commands),
        loads=len(script.loads),
        results=len(script.results),
        cycles=script.cycles,
        shown=_SHOWN,
        contents=contents,
    )


def _defined(config: Config, word: int) -> int:
    """Mask of the defined bits of a result word: its valid results and all fields above them."""
    layout, width = result_layout(config), config.result_width
    field = layout["count"]
    count = (word >> field.offset & (1 << field.width) - 1) + 1
    values = (1 << width * count) - 1
    above = ((1 << layout.size) - 1) ^ ((1 << field.offset) - 1)
    return values | above
