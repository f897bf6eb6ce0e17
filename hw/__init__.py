"""The accelerator in Amaranth: PE, array, requantizer, core, and the Verilog they become."""
