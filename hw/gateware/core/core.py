"""The core: commands and operands in, results out."""

from collections.abc import Callable
from functools import partial
from typing import Any

from amaranth import Module, ResetSignal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.spec.commands import COMMAND_WIDTH, Geometry
from hw.config import Config
from hw.gateware.array.array import Array, array_latency
from hw.gateware.core.controller import STATUS_WIDTH, Controller
from hw.gateware.core.feeder import Feeder
from hw.gateware.core.loader import Loader
from hw.gateware.core.ring import RingBuffer
from hw.gateware.lib.reset import staged
from hw.gateware.output.collector import Collector
from hw.gateware.output.drain import Drain, drain_latency, result_layout
from hw.target import place

SLOTS = 4
"""Tiles whose results the collector holds: two to fill and empty in turn, two on their way through the array."""


def core_latency(config: Config) -> int:
    """Cycles from the last k of a tile leaving its queue to the first results, with nothing in the way."""
    return Feeder.latency + array_latency(config) + config.cols + drain_latency(config)


def geometry(config: Config) -> Geometry:
    """What a scheduler must know of the core."""
    return Geometry(
        rows=config.rows,
        cols=config.cols,
        bus=config.bus,
        results=config.results,
        x=config.x_ring,
        w=config.w_ring,
        p=config.p_ring,
        interval=config.interval,
        latency=core_latency(config),
        drain=drain_latency(config),
        slots=SLOTS,
        load_queue=config.load_queue,
        compute_queue=config.compute_queue,
        k_max=config.k_max,
    )


class Core(wiring.Component):
    """Computes GEMMs by commands: docs/reference/commands.md is its contract.

    Members, all streams:
      commands In(96 bits), status Out(4 bits)   a status answers each command, in order
      loads In(8 * bus bits)                     operands and parameters, as the accepted loads ask for them
      results Out(result_layout)                 as the accepted tiles ask for them

    Loads, products and results overlap: a tile takes the longest of its K, the drain's interval,
    its share of the load stream and of the result stream. `ready` and `valid` depend on registers
    alone. No clock enable enters the array: while the sink stalls, the last k of a tile waits until
    the collector has room. A reset of one cycle makes the core as new a cycle later, but for the
    contents of its buffers, which no accepted command can read; in the cycle between, nothing is
    ready or valid.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "commands": In(stream.Signature(COMMAND_WIDTH)),
                "status": Out(stream.Signature(STATUS_WIDTH)),
                "loads": In(stream.Signature(8 * config.bus)),
                "results": Out(stream.Signature(result_layout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self.config
        m = Module()
        unit = _Units(m, platform)
        controller = unit("controller", lambda: Controller(config))
        loader = unit("loader", lambda: Loader(config))
        feeder = unit("feeder", lambda: Feeder(config, SLOTS))
        array = unit("array", lambda: Array(config))
        collector = unit("collector", lambda: Collector(config, SLOTS))
        drain = unit("drain", lambda: Drain(config, SLOTS))
        rings = {
            name: unit(f"{name}_ring", partial(RingBuffer, ring, name))
            for name, ring in zip("xwp", config.rings, strict=True)
        }
        for index, (name, ring) in enumerate(rings.items()):
            m.d.comb += [
                ring.beat.eq(self.loads.payload),
                ring.put.eq(loader.put[index]),
                ring.end.eq(loader.end),
                loader.line[index].eq(ring.line),
                loader.room[index].eq(ring.room),
                getattr(feeder, f"loaded_{name}").eq(ring.loaded),
            ]
        for name in "xw":
            m.d.comb += [
                rings[name].address.eq(getattr(feeder, f"address_{name}")),
                rings[name].freed.eq(getattr(feeder, f"freed_{name}")),
            ]
        m.d.comb += [
            rings["p"].address.eq(drain.parameters),
            rings["p"].freed.eq(drain.freed),
            drain.word.eq(rings["p"].word),
            array.valid.eq(feeder.beat),
            array.step.x.eq(rings["x"].word),
            array.step.w.eq(rings["w"].word),
            array.step.mode.eq(feeder.mode),
            array.step.offset.eq(feeder.offset),
            array.step.last.eq(feeder.last),
            collector.sums.eq(array.sums),
            collector.drained.eq(array.drained),
            collector.address.eq(drain.address),
            drain.count.eq(collector.count),
            drain.data.eq(collector.data),
            drain.tile.eq(feeder.tile),
            drain.started.eq(feeder.started),
            feeder.finished.eq(drain.finished),
        ]
        wiring.connect(m, controller.loads, loader.loads)
        wiring.connect(m, controller.tiles, feeder.tiles)
        # Nothing passes while the units are being reset; what they see then leaves no trace.
        closed = unit.stage("streams")
        for ours, theirs in ((self.commands, controller.commands), (self.loads, loader.beats)):
            m.d.comb += [
                theirs.payload.eq(ours.payload),
                theirs.valid.eq(ours.valid),
                ours.ready.eq(theirs.ready & ~closed),
            ]
        for ours, theirs in ((self.status, controller.status), (self.results, drain.results)):
            m.d.comb += [
                ours.payload.eq(theirs.payload),
                ours.valid.eq(theirs.valid & ~closed),
                theirs.ready.eq(ours.ready),
            ]
        return m


class _Units:
    """Places the core's units, each with a stage of the reset for itself."""

    def __init__(self, m: Module, platform: object):
        self._m, self._platform = m, platform

    def __call__(self, name: str, factory: Callable[[], wiring.Component]) -> Any:
        return place(self._m, name, name, factory, self._platform, self.stage(name))

    def stage(self, name: str) -> Value:
        """The reset, for one unit."""
        return staged(self._m, name, ResetSignal(allow_reset_less=True), self._platform)
