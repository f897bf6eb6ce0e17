"""Parts that any design can use: queues, delays, reset, adders of carry cells, multipliers."""
