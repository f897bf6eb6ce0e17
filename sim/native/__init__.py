"""Verilator's model of a core as a shared library, and the C++ that drives its streams."""
