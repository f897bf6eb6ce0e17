"""External tools as child processes: Yosys and nextpnr."""
