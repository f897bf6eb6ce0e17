"""Counters and addresses that wrap around at any count, a power of two or not."""

from amaranth import Module, Mux, Signal, Value

__all__ = ["counter", "wrapped"]


def wrapped(value: Value, count: int, step: int = 1) -> Value:
    """Return (value + step) mod count.

    Parameters:
        value: Unsigned value below `count`.
        count: Number of values, at least 1.
        step: Amount to add, 1 to `count`.

    Raises:
        ValueError: `step` is not in 1..`count`.
    """
    if not 1 <= step <= count:
        raise ValueError(f"step: expected 1..{count}, got {step!r}")
    if count == 1 << len(value):
        # The sum wraps around by itself.
        return (value + step)[: len(value)]
    if step == 1:
        return Mux(value == count - 1, 0, value + 1)
    return Mux(value >= count - step, value + step - count, value + step)


def counter(m: Module, count: int, enable: Value, name: str) -> Signal:
    """Return a register that counts 0, 1, ..., count - 1, 0, ...

    Parameters:
        m: Module that gets the counter, in its domain `sync`.
        count: Number of values, at least 1.
        enable: The counter advances at the end of each cycle in which this is 1.
        name: Name of the counter's signal.

    Returns:
        Signal(range(count)), 0 after a reset.
    """
    value = Signal(range(count), name=name)
    with m.If(enable):
        m.d.sync += value.eq(wrapped(value, count))
    return value
