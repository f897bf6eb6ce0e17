"""cocotb bench that drives a core's streams inside a simulator."""
