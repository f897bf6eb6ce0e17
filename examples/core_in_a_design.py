"""The core inside an Amaranth design of your own: a classifier that answers with the best class.

The design keeps no scores. It reads them from the core's result stream and remembers the largest.
It is simulated, compared with the golden model, and converted to Verilog.
"""

import numpy as np
from amaranth import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import Out, connect, flipped
from amaranth.sim import Simulator, SimulatorContext

from tilebert import Config, Core, Job, emit, encode_command, gemm, geometry, mode, schedule

PORTS = ("commands", "status", "loads")
"""Ports of the core that are ports of the classifier too."""


class Classifier(wiring.Component):
    """The column with the largest sum of a GEMM with one row; of equal sums the first.

    Members: `commands`, `status` and `loads` of the core, `winner` Out(stream of column numbers).
    Raises ValueError if the core delivers more than one result per cycle.
    """

    def __init__(self, config: Config) -> None:
        if config.results != 1:
            raise ValueError(f"results: expected 1, got {config.results}")
        self.core = Core(config)
        members = {name: self.core.signature.members[name] for name in PORTS}
        super().__init__(members | {"winner": Out(stream.Signature(range(config.cols)))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.core = core = self.core
        for name in PORTS:
            connect(m, getattr(core, name), flipped(getattr(self, name)))

        score = core.results.payload.y[0]
        column, largest = Signal.like(self.winner.payload), Signal.like(score)
        m.d.comb += core.results.ready.eq(~self.winner.valid)
        with m.If(self.winner.valid & self.winner.ready):
            m.d.sync += self.winner.valid.eq(0)
        with m.If(core.results.valid & core.results.ready):
            with m.If((column == 0) | (score > largest)):
                m.d.sync += [largest.eq(score), self.winner.payload.eq(column)]
            m.d.sync += column.eq(column + 1)
            with m.If(core.results.payload.last):
                m.d.sync += [column.eq(0), self.winner.valid.eq(1)]
        return m


config = Config(modes=(mode("w8a8"),), rows=1, cols=4, k_max=16, results=1, panels=1)
rng = np.random.default_rng(2)
weights = rng.integers(-127, 128, (16, 4), dtype=np.int8)
inputs = [rng.integers(-127, 128, (1, 16), dtype=np.int8) for _ in range(5)]
jobs = [Job("scores", mode("w8a8"), x, weights) for x in inputs]
plan = schedule(jobs, geometry(config), config.index)
data = plan.load_stream()
classifier = Classifier(config)
statuses: list[int] = []
winners: list[int] = []


async def put(ctx: SimulatorContext, port: stream.Interface, payloads: list[int]) -> None:
    """Send payloads, one transfer each."""
    ctx.set(port.valid, 1)
    for payload in payloads:
        ctx.set(port.payload, payload)
        await ctx.tick().until(port.ready)
    ctx.set(port.valid, 0)


async def take(
    ctx: SimulatorContext, port: stream.Interface, payloads: list[int], count: int
) -> None:
    """Receive as many payloads."""
    ctx.set(port.ready, 1)
    while len(payloads) < count:
        payloads += await ctx.tick().sample(port.payload).until(port.valid)


async def send_commands(ctx: SimulatorContext) -> None:
    await put(ctx, classifier.commands, [encode_command(command) for command in plan.commands])


async def send_operands(ctx: SimulatorContext) -> None:
    transfers = [data[start : start + config.bus] for start in range(0, len(data), config.bus)]
    await put(ctx, classifier.loads, [int.from_bytes(each, "little") for each in transfers])


async def take_statuses(ctx: SimulatorContext) -> None:
    await take(ctx, classifier.status, statuses, len(plan.commands))


async def take_winners(ctx: SimulatorContext) -> None:
    await take(ctx, classifier.winner, winners, len(inputs))


simulator = Simulator(classifier)
simulator.add_clock(1e-6)
for testbench in (send_commands, send_operands, take_statuses, take_winners):
    simulator.add_testbench(testbench)
simulator.run()

expected = [int(gemm(x, weights, mode("w8a8"))[0].argmax()) for x in inputs]
print(f"winners {winners}, golden {expected}")
print(f"classifier: {len(emit(Classifier(config), 'classifier').text):,} bytes of Verilog")
if winners != expected or any(statuses):
    raise SystemExit(1)
