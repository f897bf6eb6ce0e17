"""The bench that cocotb runs inside a simulator."""
