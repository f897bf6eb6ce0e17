"""Widths of values."""

from amaranth import C, Cat, Value

__all__ = ["extended"]


def extended(value: Value, width: int) -> Value:
    """Return `value` as `width` unsigned bits: extended according to its shape, or truncated.

    Parameters:
        value: Signed value, whose sign bit is repeated, or unsigned value, padded with zeros.
        width: Bits of the result.
    """
    sign = value[-1] if value.shape().signed else C(0)
    return Cat(value, sign.replicate(max(0, width - len(value))))[:width]
