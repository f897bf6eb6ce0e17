"""Open tools around the Verilog: Yosys, nextpnr, floor plans, sign-off, records."""
