"""From Amaranth to Verilog text."""
