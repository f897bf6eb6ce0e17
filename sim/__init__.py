"""The hardware, simulated: builds, stream drivers, and the comparison with golden."""
