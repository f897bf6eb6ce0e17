"""Registers, single and in series."""

from amaranth import Module, Signal, Value
from amaranth.hdl import ValueLike

__all__ = ["Delay", "register"]


def register(m: Module, value: ValueLike, name: str, init: int | None = None) -> Signal:
    """Return `value` one cycle later, in a register of the same shape.

    Parameters:
        m: Module that gets the register, in its domain `sync`.
        value: Value to register.
        name: Name of the register's signal.
        init: Value after a reset. None makes the register ignore resets.

    Latency: 1 cycle. Throughput: one value per cycle.
    """
    value = Value.cast(value)
    stage = Signal(value.shape(), name=name, init=init or 0, reset_less=init is None)
    m.d.sync += stage.eq(value)
    return stage


class Delay:
    """Shift registers of one module.

    Parameters:
        m: Module that gets the registers, in its domain `sync`.
    """

    def __init__(self, m: Module):
        self._m = m

    def __call__(self, value: ValueLike, cycles: int, name: str, init: int | None = None) -> Value:
        """Return `value` after `cycles` cycles.

        Parameters:
            value: Value to delay.
            cycles: Number of registers, at least 0; 0 returns the value itself.
            name: Prefix of the registers' names, before their index.
            init: Value of each register after a reset. None makes them ignore resets.

        Latency: `cycles`. Throughput: one value per cycle.

        Raises:
            ValueError: `cycles` is negative.
        """
        if cycles < 0:
            raise ValueError(f"cycles: expected at least 0, got {cycles!r}")
        value = Value.cast(value)
        for stage in range(cycles):
            value = register(self._m, value, f"{name}_{stage}", init)
        return value
