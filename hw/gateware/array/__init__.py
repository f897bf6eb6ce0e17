"""The systolic array: edge decoders, processing elements, accumulators."""
