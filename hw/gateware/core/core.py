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
from hw.gateware.core.command import StatusCode
from hw.gateware.core.controller import Controller
from hw.gateware.core.feeder import Feeder
from hw.gateware.core.loader import Loader
from hw.gateware.core.operand_buffer import OperandBuffer
from hw.gateware.lib.reset import staged
from hw.gateware.output.collector import Collector
from hw.gateware.output.drain import Drain, drain_latency, result_layout
from hw.target import place

__all__ = ["SLOTS", "Core", "core_latency", "geometry"]

SLOTS = 4
"""Tiles whose results the collector holds.

Two slots are filled and emptied in turn; two belong to tiles on their way through the array.
"""


def core_latency(config: Config) -> int:
    """Cycles from the last k of a tile leaving its queue to its first results, without stalls."""
    return Feeder.latency + array_latency(config) + config.cols + drain_latency(config)


def geometry(config: Config) -> Geometry:
    """The core as a scheduler sees it."""
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
    """Computes GEMMs by commands. docs/reference/commands.md is its contract.

    Parameters:
      config   the build

    Members:
      commands In(stream of 96 bits)        commands
      status Out(stream of StatusCode)      one status for each command, in order
      loads In(stream of 8 * bus bits)      operands and parameters of the accepted loads, in order
      results Out(stream of result_layout)  results of the accepted tiles, in order

    Latency: `core_latency` cycles. Throughput: loads, products and results overlap; a tile takes
    the longest of its k, the array's interval, its loads and its results.

    `ready` and `valid` depend on registers alone. The array needs no clock enable: while the sink
    stalls, the last k of a tile waits until the collector has a free slot. A reset of one cycle
    returns the core to its initial state one cycle later, except for the contents of its buffers,
    which no accepted command can read. In the cycle between, `ready` and `valid` are low.
    """

    def __init__(self, config: Config):
        self.config = config
        super().__init__(
            {
                "commands": In(stream.Signature(COMMAND_WIDTH)),
                "status": Out(stream.Signature(StatusCode)),
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
        feeder = unit("feeder", lambda: Feeder(config, slots=SLOTS))
        array = unit("array", lambda: Array(config))
        collector = unit("collector", lambda: Collector(config, slots=SLOTS))
        drain = unit("drain", lambda: Drain(config, slots=SLOTS))
        buffers = [
            unit(f"{name}_ring", partial(OperandBuffer, ring, name=name))
            for name, ring in zip("xwp", config.rings, strict=True)
        ]
        wiring.connect(m, controller.loads, loader.loads)
        wiring.connect(m, controller.tiles, feeder.tiles)
        reads = {"x": feeder.read_x, "w": feeder.read_w, "p": drain.read_p}
        for write, (name, read), buffer in zip(loader.write, reads.items(), buffers, strict=True):
            wiring.connect(m, write, buffer.write)
            wiring.connect(m, read, buffer.read)
            m.d.comb += feeder.loaded[name].eq(buffer.loaded)
        wiring.connect(m, feeder.handoff, drain.handoff)
        wiring.connect(m, drain.sums, collector.read)
        m.d.comb += [
            array.step.eq(feeder.step),
            array.valid.eq(feeder.valid),
            collector.sums.eq(array.sums),
            collector.drained.eq(array.drained),
        ]
        # No transfer passes during the reset of the units, and no unit keeps what it sees then.
        closed = unit.reset("streams")
        _connect_gated(m, self.commands, controller.commands, ready=~closed)
        _connect_gated(m, self.loads, loader.transfers, ready=~closed)
        _connect_gated(m, controller.status, self.status, valid=~closed)
        _connect_gated(m, drain.results, self.results, valid=~closed)
        return m


def _connect_gated(
    m: Module, source: Any, sink: Any, *, valid: Value | int = 1, ready: Value | int = 1
) -> None:
    """Connect two streams, with a gate in `valid` or in `ready`."""
    m.d.comb += [
        sink.payload.eq(source.payload),
        sink.valid.eq(source.valid & valid),
        source.ready.eq(sink.ready & ready),
    ]


class _Units:
    """Places the core's units, each with a reset register of its own."""

    def __init__(self, m: Module, platform: object):
        self._m, self._platform = m, platform

    def __call__(self, name: str, factory: Callable[[], wiring.Component]) -> Any:
        return place(self._m, name, name, factory, self._platform, self.reset(name))

    def reset(self, name: str) -> Value:
        """The reset, one cycle later in a register for one unit."""
        return staged(self._m, name, ResetSignal(allow_reset_less=True), self._platform)
