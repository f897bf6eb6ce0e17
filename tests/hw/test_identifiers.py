"""Names in generated Verilog: plain, distinct, and the same in a module and where it is placed."""

import pytest

from hw.verilog.identifiers import with_module_prefix, with_plain_names
from hw.verilog.text import delivered

TEXT = """module \\unit.part (clk, \\end , y);
  input clk;
  input [3:0] \\end ;
  output [3:0] y;
  reg [3:0] \\$signal$3  = 4'h0;
  wire [3:0] signal;
  assign signal = \\$signal$3  + \\end [0];
  assign y = signal;
  always @(posedge clk)
    \\$signal$3  <= signal;
endmodule

module unit(clk, \\end , y);
  input clk;
  input [3:0] \\end ;
  output [3:0] y;
  wire [3:0] \\part.y ;
  assign y = \\part.y ;
  \\unit.part  \\part$1  (
    .clk(clk),
    .\\end (\\end ),
    .y(\\part.y )
  );
endmodule
"""

PLAIN = """module unit_part(clk, end_, y);
  input clk;
  input [3:0] end_;
  output [3:0] y;
  reg [3:0] signal_2 = 4'h0;
  wire [3:0] signal;
  assign signal = signal_2 + end_[0];
  assign y = signal;
  always @(posedge clk)
    signal_2 <= signal;
endmodule

module unit(clk, end_, y);
  input clk;
  input [3:0] end_;
  output [3:0] y;
  wire [3:0] part_y;
  assign y = part_y;
  unit_part part (
    .clk(clk),
    .end_(end_),
    .y(part_y)
  );
endmodule
"""


def test_escaped_names_become_plain_ones() -> None:
    assert with_plain_names(TEXT).replace("  =", " =").replace("  +", " +") == PLAIN


def test_all_modules_but_the_top_get_the_prefix() -> None:
    text = with_module_prefix(PLAIN, "unit", "my_unit", "my_unit_1234_")
    assert "module my_unit_1234_unit_part(" in text
    assert "module my_unit(" in text
    assert "  my_unit_1234_unit_part part (" in text
    assert text.count("unit_part") == 2


def test_ports_that_would_meet_stay_apart() -> None:
    """In the module, against its other names, and where it is placed."""
    text = with_plain_names(
        "module part(\\a$1 , \\a$2 , b);\n  input \\a$1 ;\n  input \\a$2 ;\n  output b;\n  reg a;\n"
        "  assign b = \\a$1  ^ \\a$2  ^ a;\nendmodule\n"
        "module top(a, b);\n  input a;\n  output b;\n"
        "  part part (\n    .\\a$1 (a),\n    .\\a$2 (1'h0),\n    .b(b)\n  );\nendmodule\n"
    )
    assert "module part(a_2, a_3, b);" in text
    assert "assign b = a_2 ^ a_3 ^ a;" in text.replace("  ^", " ^")
    assert ".a_2(a),\n    .a_3(1'h0),\n    .b(b)" in text


def test_ports_without_bits_are_left_out() -> None:
    text = (
        "module top(a, none, b);\n  input a;\n  input [-1:0] none;\n"
        "  wire [-1:0] none;\n  output b;\nendmodule\n"
    )
    assert delivered(text) == "module top(a, b);\n  input a;\n  output b;\nendmodule\n"


@pytest.mark.parametrize("zero", ["4'h0", "32'd0"])
def test_a_memory_of_zeros_is_cleared_in_a_loop(zero: str) -> None:
    """Yosys writes zeros of 32 bits as decimal numbers."""
    cleared = "".join(f"    m[{index}] = {zero};\n" for index in range(3))
    text = (
        "module top(a);\n  input a;\n  reg [3:0] m [2:0];\n"
        f"  initial begin\n{cleared}  end\nendmodule\n"
    )
    assert delivered(text) == (
        "module top(a);\n  input a;\n  (* no_rw_check *)\n  reg [3:0] m [2:0];\n"
        "  integer m_word;\n"
        "  initial for (m_word = 0; m_word < 3; m_word = m_word + 1) m[m_word] = "
        f"{zero};\nendmodule\n"
    )
