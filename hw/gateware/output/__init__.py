"""From sums to the result stream: collector, reader, lanes, joiner, requantizer."""
