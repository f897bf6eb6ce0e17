"""One unit in an Amaranth project of your own: samples of 16 bits are scaled to codes of 8 bits."""

import numpy as np
from amaranth import Module, signed
from amaranth.lib.wiring import Component, In, Out
from amaranth.sim import Simulator, SimulatorContext

from tilebert import Requantizer, encode_factors, requantize

MULT, SHIFT = encode_factors(np.array([1 / 300]))


class Scaler(Component):
    """code = sample / 300, rounded and clamped to -127..127. One sample per cycle."""

    def __init__(self) -> None:
        super().__init__({"sample": In(signed(16)), "code": Out(signed(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = unit = Requantizer(sum_width=16)
        m.d.comb += [unit.sum.eq(self.sample), self.code.eq(unit.y)]
        m.d.comb += [unit.scaling.mult.eq(int(MULT[0])), unit.scaling.shift.eq(int(SHIFT[0]))]
        return m


samples = np.random.default_rng(1).integers(-(1 << 15), 1 << 15, 100)
codes: list[int] = []
scaler = Scaler()


async def drive(ctx: SimulatorContext) -> None:
    """Set a new sample in every cycle and collect the code of that cycle."""
    for sample in [*samples, *[0] * 20]:
        ctx.set(scaler.sample, int(sample))
        codes.append(ctx.get(scaler.code))
        await ctx.tick()


simulator = Simulator(scaler)
simulator.add_clock(1e-6)
simulator.add_testbench(drive)
simulator.run()

LATENCY = 12  # cycles from a sum to its result
expected = requantize(samples[:, np.newaxis], None, MULT, SHIFT)[:, 0]
equal = np.count_nonzero(np.array(codes[LATENCY : LATENCY + len(samples)]) == expected)
print(f"{equal} of {len(expected)} codes equal the golden model")
if equal != len(expected):
    raise SystemExit(1)
