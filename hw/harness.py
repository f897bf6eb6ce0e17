"""An array behind four pins, so that place and route sees what a core would, and nothing is folded away."""

import json
from collections import Counter

from amaranth import Cat, ClockDomain, ClockSignal, Module, ResetSignal, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from hw.array import Array
from hw.config import Config
from hw.operands import Product
from hw.target import place
from hw.verilog import emit
from hw.yosys import DELAY_TARGET, run_yosys


class Harness(wiring.Component):
    """An `Array` fed from one pin and read through another.

    Members: clk In(1), rst In(1), si In(1), so Out(1).

    Every input bit of the array is a bit of one shift register that starts at si. Every output bit is folded by
    exclusive or into its bit of a second one that ends at so. So every path of the array lies between registers,
    every bit depends on si and reaches so, and what the harness adds is one register per port bit, with at most
    one gate before it. The reset is registered too: its way to the PEs counts like any other.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__({"clk": In(1), "rst": In(1), "si": In(1), "so": Out(1)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains += [ClockDomain("sync"), ClockDomain("pins", reset_less=True)]
        reset = Signal(reset_less=True)
        m.d.pins += reset.eq(self.rst)
        m.d.comb += [ClockSignal("pins").eq(self.clk), ClockSignal().eq(self.clk), ResetSignal().eq(reset)]

        array = place(m, "array", "array", lambda: Array(self._config), platform)
        inputs = [Value.cast(array.beat), Value.cast(array.valid)]
        outputs = Cat(array.sums, array.drained)
        shifted = Signal(sum(map(len, inputs)), reset_less=True)
        folded = Signal(len(outputs), reset_less=True)
        m.d.sync += [
            shifted.eq(Cat(self.si, shifted[:-1])),
            folded.eq(Cat(0, folded[:-1]) ^ outputs),
        ]
        offset = 0
        for value in inputs:
            m.d.comb += value.eq(shifted[offset:][: len(value)])
            offset += len(value)
        m.d.comb += self.so.eq(folded[-1])
        return m


def mapped(config: Config) -> str:
    """The harness around an array of `config`, mapped for ECP5, as JSON that nextpnr reads.

    Array and PEs stay modules: flattened, Yosys merges registers that are equal along anti-diagonals into one
    that drives wires across the array. Raises YosysError if Yosys fails, ValueError as `check`.
    """
    design = emit(Harness(config), "harness", "ecp5")
    script = [
        DELAY_TARGET,
        "read_verilog -sv design.v",
        # Names without a source give way to those with one.
        "rename -hide w:$*",
        # abc9 takes a field's alias "sums[0]" for bit 0 of the port "sums" and stops.
        "rename -hide w:*\\[*",
        "setattr -mod -set keep_hierarchy 1 array pe",
        f"synth_ecp5 {'' if config.dsp else '-nodsp'} -top {design.top}",
        "write_json netlist.json",
    ]
    files = run_yosys("\n".join(script), inputs={"design.v": design.text}, outputs=["netlist.json"])
    check(files["netlist.json"], config)
    return files["netlist.json"]


def check(
    netlist: str, config: Config, multiplier: str = "MULT18X18D", flip_flop: str = "TRELLIS_FF"
) -> None:
    """Raise ValueError if a mapped netlist (Yosys' JSON, PEs kept as modules) is not the whole array.

    It holds rows * cols PEs; each has its multiplier, where the build uses them, and as many distinct flip-flops
    behind its accumulators and behind its drain as the sums have bits. A frequency or an area of anything less
    would be one of logic that constant or unread signals had removed.
    """
    modules = json.loads(netlist)["modules"]
    pes = _instances(modules, _top(modules))["pe"]
    if pes != config.rows * config.cols:
        raise ValueError(f"netlist: expected {config.rows * config.cols} PEs, got {pes}")
    pe = modules["pe"]
    multipliers = _instances(modules, "pe")[multiplier]
    needed = int(config.product is Product.MULTIPLIER)
    if multipliers != needed:
        raise ValueError(f"netlist: expected {needed} {multiplier} per PE, got {multipliers}")
    stored = {cell["connections"]["Q"][0] for cell in pe["cells"].values() if cell["type"] == flip_flop}
    for prefix in ("acc_", "captured_"):
        bits = {
            bit
            for name, net in pe["netnames"].items()
            if name.startswith(prefix) and name.removeprefix(prefix).isdigit()
            for bit in net["bits"]
        }
        if len(bits & stored) != config.sum_width:
            raise ValueError(
                f"netlist: expected {config.sum_width} flip-flops of {prefix}* per PE, got {len(bits & stored)}"
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
