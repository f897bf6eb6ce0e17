"""Registers one behind the other."""

from amaranth import Module, Signal, Value


class Delay:
    """Makes chains of registers in `m`; those with `init` are set to it at a reset, the others keep what they have."""

    def __init__(self, m: Module):
        self._m = m

    def __call__(self, value: Value, cycles: int, name: str, init: int | None = None) -> Value:
        """`value`, so many cycles later."""
        value = Value.cast(value)
        for stage in range(cycles):
            register = Signal(
                value.shape(), name=f"{name}_{stage}", init=init or 0, reset_less=init is None
            )
            self._m.d.sync += register.eq(value)
            value = register
        return value
