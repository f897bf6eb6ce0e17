"""A harness with four pins around a unit, so that place and route times paths at its ports."""

import json
from collections import Counter

from amaranth import Cat, ClockDomain, ClockSignal, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.config import Config
from hw.flow.block_ram import with_output_registers
from hw.flow.families import family_of
from hw.flow.synth import map_design
from hw.operands import Product
from hw.target import place
from hw.verilog.design import UNITS, emit


class Harness(wiring.Component):
    """A unit (a key of hw.verilog.design.UNITS) fed from one pin and read through another.

    Members: clk In(1), rst In(1), si In(1), so Out(1).

    Every input bit of the unit is a bit of a shift register that starts at `si`. Every output bit
    is folded by exclusive or into one bit of a second shift register, which ends at `so`. So every
    path of the unit is between registers, every bit depends on `si` and reaches `so`, and the
    harness adds one register per port bit, with at most one gate before it. The reset is registered
    too, so that its path to the PEs is timed like any other.
    """

    def __init__(self, config: Config, unit: str = "array"):
        self._config = config
        self._unit = unit
        super().__init__({"clk": In(1), "rst": In(1), "si": In(1), "so": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains += [ClockDomain("sync"), ClockDomain("pins", reset_less=True)]
        reset = Signal(reset_less=True)
        m.d.pins += reset.eq(self.rst)
        m.d.comb += [
            ClockSignal("pins").eq(self.clk),
            ClockSignal().eq(self.clk),
            ResetSignal().eq(reset),
        ]

        unit = place(m, self._unit, self._unit, lambda: UNITS[self._unit](self._config), platform)
        inputs: list[Value] = []
        outputs: list[Value] = []
        for _, member, value in unit.signature.flatten(unit):
            (inputs if member.flow == In else outputs).append(Value.cast(value))
        shifted = Signal(sum(map(len, inputs)), reset_less=True)
        folded = Signal(sum(map(len, outputs)), reset_less=True)
        m.d.sync += [
            shifted.eq(Cat(self.si, shifted[:-1])),
            folded.eq(Cat(0, folded[:-1]) ^ Cat(*outputs)),
        ]
        offset = 0
        for value in inputs:
            m.d.comb += value.eq(shifted[offset:][: len(value)])
            offset += len(value)
        m.d.comb += self.so.eq(folded[-1])
        return m


def mapped(config: Config, unit: str = "array", target: str = "ecp5") -> str:
    """The harness around a unit of `config`, mapped for a target, as JSON that nextpnr reads.

    `target` is ecp5 or ice40. Array and PEs stay modules: flattened, Yosys merges registers that
    are equal along anti-diagonals into one that drives wires across the array. Raises YosysError if
    Yosys fails, ValueError as `check`.
    """
    design = emit(Harness(config, unit), "harness", target)
    commands = ["write_json netlist.json"]
    netlist = map_design(design, target, config.dsp, commands, ["netlist.json"])["netlist.json"]
    if unit in ("array", "core"):
        check(netlist, config, target)
    return with_output_registers(netlist) if target == "ecp5" else netlist


def check(netlist: str, config: Config, target: str = "ecp5") -> None:
    """Raise ValueError if a mapped netlist (Yosys' JSON, PEs kept as modules) is incomplete.

    The whole array has rows * cols PEs; each has its multiplier, where the build uses them, and as
    many distinct flip-flops behind its accumulators and behind its drain as the sums have bits.
    If any is missing, Yosys removed logic with constant or unread signals, and the area and the
    frequency are not those of the unit.
    """
    modules = json.loads(netlist)["modules"]
    pes = _instances(modules, _top(modules))["pe"]
    if pes != config.rows * config.cols:
        raise ValueError(f"netlist: expected {config.rows * config.cols} PEs, got {pes}")
    pe, family = modules["pe"], family_of(target)
    multipliers = _instances(modules, "pe")[family.multiplier]
    needed = int(config.product is Product.MULTIPLIER)
    if multipliers != needed:
        raise ValueError(
            f"netlist: expected {needed} {family.multiplier} per PE, got {multipliers}"
        )
    stored = {
        cell["connections"]["Q"][0]
        for cell in pe["cells"].values()
        if cell["type"].startswith(family.flip_flop)
    }
    sums = {
        bit
        for name, net in pe["netnames"].items()
        if name.startswith("acc_") and name.removeprefix("acc_").isdigit()
        for bit in net["bits"]
    }
    for what, bits in (("acc_*", sums), ("drain_o", set(pe["ports"]["drain_o"]["bits"]))):
        if len(bits & stored) != config.sum_width:
            raise ValueError(
                f"netlist: expected {config.sum_width} flip-flops of {what} per PE, got "
                f"{len(bits & stored)}"
            )


def _top(modules: dict[str, dict]) -> str:
    for name, module in modules.items():
        if int(module["attributes"].get("top", "0"), 2):
            return name
    raise ValueError("netlist: expected a top module, got none")


def _instances(modules: dict[str, dict], name: str) -> Counter[str]:
    """Cells and modules below a module, all levels, by type."""
    total: Counter[str] = Counter()
    for cell in modules[name]["cells"].values():
        total[cell["type"]] += 1
        if cell["type"] in modules and modules[cell["type"]]["cells"]:
            total += _instances(modules, cell["type"])
    return total
