"""The output side: collector, drain, reader, result lanes, joiner, requantizer."""
