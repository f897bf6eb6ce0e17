"""What a design is generated for, and the modules that its instances share."""

import re
from collections.abc import Callable
from typing import Any, Literal, get_args

from amaranth import ClockSignal, Module, ResetInserter, ResetSignal, Value
from amaranth.back import rtlil
from amaranth.hdl import Instance
from amaranth.lib import wiring

FamilyName = Literal["generic", "ecp5", "ice40", "xc7"]
FAMILY_NAMES: tuple[str, ...] = get_args(FamilyName)
"""What can be generated for: plain Verilog for any tool, or the primitives of a family of parts."""


class Target:
    """The platform that elaborate() receives when a design is written out; `family` is one of FAMILY_NAMES.

    A unit that has a primitive of the family to use looks at `family`; its latency is the same on
    all of them. A component placed many times becomes one module and instances of it. Amaranth by
    itself writes a module per instance, which makes a 16 x 16 array 257 modules to read, synthesize
    and compile.
    """

    def __init__(self, family: str = "generic") -> None:
        if family not in FAMILY_NAMES:
            raise ValueError(f"target: expected one of {', '.join(FAMILY_NAMES)}, got {family!r}")
        self.family = family
        self.modules: dict[str, str] = {}
        self._signatures: dict[str, wiring.Signature] = {}

    def instance(
        self, module: str, factory: Callable[[], wiring.Component], reset: Value | None = None
    ) -> tuple[Instance, Any]:
        """An instance of `module` and the signals at its ports; written by `factory` when the name is new."""
        if module not in self.modules:
            component = factory()
            self._signatures[module] = component.signature
            self.modules[module] = rtlil.convert(
                component, name=module, platform=self, emit_src=False
            )
        text, signature = self.modules[module], self._signatures[module]
        signals = signature.create(path=(module,))
        ports: dict[str, Any] = {}
        for path, member, value in signature.flatten(signals):
            prefix = "i" if member.flow == wiring.In else "o"
            ports[f"{prefix}_{'__'.join(map(str, path))}"] = value
        # A module has a clock or reset port only if something in it uses that.
        for port, value in (
            ("clk", ClockSignal()),
            ("rst", ResetSignal() if reset is None else reset),
        ):
            if has_port(text, port):
                ports[f"i_{port}"] = value
        return Instance(module, **ports), signals


def has_port(module: str, name: str) -> bool:
    """Whether a module, as RTLIL, has an input of that name."""
    return bool(re.search(rf"^  wire .*input \d+ +\\{name}$", module, re.MULTILINE))


def place(
    m: Module,
    name: str,
    module: str,
    factory: Callable[[], wiring.Component],
    platform: object,
    reset: Value | None = None,
) -> Any:
    """Put what `factory` makes into `m` as submodule `name`; returns the object that carries its ports.

    On a `Target` every placement of `module` shares one definition, so the same name must mean the
    same component; elsewhere (Amaranth's simulator) each placement is a component of its own.
    `reset` takes the place of the domain's there, and is one more elsewhere.
    """
    if isinstance(platform, Target):
        m.submodules[name], ports = platform.instance(module, factory, reset)
        return ports
    component = factory()
    m.submodules[name] = component if reset is None else ResetInserter(reset)(component)
    return component
