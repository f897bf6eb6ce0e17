"""Systolic array: edge decoders, processing elements, accumulators and drain chains."""
