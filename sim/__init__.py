"""Simulation of the hardware: builds, stimulus, and comparison with the reference model."""
