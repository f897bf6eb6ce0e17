"""The target of a generated design, and the modules that its instances share."""

import re
from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args

from amaranth import ClockSignal, Module, ResetInserter, ResetSignal, Value
from amaranth.back import rtlil
from amaranth.hdl import Instance
from amaranth.lib import wiring

FamilyName = Literal["generic", "ecp5", "ice40", "xc7"]
FAMILY_NAMES: tuple[str, ...] = get_args(FamilyName)
"""Targets of generation: plain Verilog for any tool, or the primitives of a family of parts."""


_APART: set[type[wiring.Component]] = set()

_Kind = TypeVar("_Kind", bound=type[wiring.Component])


def kept_apart(component: _Kind) -> _Kind:
    """Class decorator: synthesis maps such a component once, as a module of its own.

    Flattened, Yosys merges equal registers of neighbours into one with long wires. Mapping a module
    once instead of each instance also saves time.
    """
    _APART.add(component)
    return component


class Target:
    """The platform that elaborate() receives when a design is written out.

    `family` is one of FAMILY_NAMES: a unit instantiates primitives of it, with the same latency on
    every family. `modules` has the RTLIL of each module by its name, `apart` the names of those
    that are `kept_apart`.

    A component placed many times becomes one module and instances of it. Amaranth by itself writes
    a module per instance, which makes a 16 x 16 array 257 modules to read, synthesize and compile.

    Raises ValueError on an unknown family.
    """

    def __init__(self, family: str = "generic") -> None:
        if family not in FAMILY_NAMES:
            raise ValueError(f"target: expected one of {', '.join(FAMILY_NAMES)}, got {family!r}")
        self.family = family
        self.modules: dict[str, str] = {}
        self.apart: list[str] = []
        self._signatures: dict[str, wiring.Signature] = {}

    def instance(
        self, module: str, factory: Callable[[], wiring.Component], reset: Value | None = None
    ) -> tuple[Instance, Any]:
        """An instance of `module` and the signals at its ports.

        `factory` makes the component when the name is new. `reset` replaces the domain's reset.
        """
        if module not in self.modules:
            component = factory()
            self._signatures[module] = component.signature
            self.modules[module] = rtlil.convert(
                component, name=module, platform=self, emit_src=False
            )
            if type(component) in _APART:
                self.apart.append(module)
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
    """Add the component that `factory` makes to `m` as submodule `name`; returns its ports.

    On a `Target` every instance of `module` shares one definition, so that the same name must mean
    the same component. Elsewhere (Amaranth's simulator) each call makes a component of its own.
    `reset` replaces the domain's reset on a `Target`, and adds to it elsewhere.
    """
    if isinstance(platform, Target):
        m.submodules[name], ports = platform.instance(module, factory, reset)
        return ports
    component = factory()
    m.submodules[name] = component if reset is None else ResetInserter(reset)(component)
    return component
