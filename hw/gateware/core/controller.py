"""The controller: checks commands in order, answers them, and queues loads and tiles."""

from dataclasses import dataclass, fields

from amaranth import C, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.spec.commands import COMMAND_WIDTH, Opcode, Output, RingName
from hw.config import Config
from hw.gateware.core.account import Account
from hw.gateware.core.checker import Checker, settings_layout
from hw.gateware.core.command import StatusCode, view
from hw.gateware.core.loader import load_layout
from hw.gateware.core.tile import tile_layout

__all__ = ["Controller"]


@dataclass(frozen=True)
class _Strobes:
    """Registers, each 1 for one cycle after a command took effect or a CONFIGURE was refused."""

    configured: Signal
    loaded: Signal
    computed: Signal
    refused: Signal


class Controller(wiring.Component):
    """Checks commands in order and queues the loads and tiles of those that it accepts.

    Parameters:
      config   the build

    Members:
      commands In(stream of 96 bits)     commands
      status Out(stream of StatusCode)   one for each command, in order
      loads Out(stream of load_layout)   load descriptors, in order
      tiles Out(stream of tile_layout)   tile descriptors, in order

    A command is checked against the state of the buffers after all earlier accepted commands. A
    load must fit; a tile's panels must be loaded by earlier commands and not be freed. So an
    accepted command always completes, however slow the streams.

    Latency: 5 cycles from a command to its status. Throughput: one command every 6 cycles, while
    the queue that it goes to has a free slot and its status is taken.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "commands": In(stream.Signature(COMMAND_WIDTH)),
                "status": Out(stream.Signature(StatusCode)),
                "loads": Out(stream.Signature(load_layout(config))),
                "tiles": Out(stream.Signature(tile_layout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        config = self._config
        m = Module()
        command = Signal(COMMAND_WIDTH, reset_less=True)
        settings = Signal(settings_layout(config))
        # Chunks of a row of results, and lines of its parameters.
        chunks = Signal(range(config.cols * config.w_lanes + 2))
        p_lines = Signal(range(config.cols * config.w_lanes + 2))
        m.submodules.checker = checker = Checker(config)
        strobes = self._run(m, command, checker, chunks, p_lines)
        self._configure(m, view(Opcode.CONFIGURE, command), settings, strobes)
        lines = (settings.x_lines, settings.w_lines, p_lines)
        accounts = [
            self._account(m, name, command, settings, depth, checker, strobes)
            for name, depth in zip(RingName, lines, strict=True)
        ]
        m.d.comb += [
            checker.command.eq(command),
            checker.settings.eq(settings),
            *(checker.fill["xwp"[i]].eq(account.fill) for i, account in enumerate(accounts)),
            *(checker.legal[i].eq(account.legal) for i, account in enumerate(accounts)),
        ]
        self._describe_load(m, view(Opcode.LOAD, command))
        self._describe_tile(m, view(Opcode.COMPUTE, command), settings, chunks, accounts)
        return m

    def _run(
        self, m: Module, command: Signal, checker: Checker, chunks: Signal, p_lines: Signal
    ) -> _Strobes:
        """Take commands one after another, queue what they ask for, and answer them."""
        verdict, good = Signal(StatusCode), Signal()
        strobes = _Strobes(*(Signal(name=field.name) for field in fields(_Strobes)))
        m.d.sync += [
            strobes.configured.eq(0),
            strobes.loaded.eq(0),
            strobes.computed.eq(0),
            strobes.refused.eq(0),
        ]
        m.d.comb += self.status.payload.eq(verdict)
        with m.FSM():
            with m.State("FETCH"):
                results, factor = self._config.results, self._config.p_ring.factor
                m.d.comb += self.commands.ready.eq(1)
                m.d.sync += [
                    command.eq(self.commands.payload),
                    chunks.eq(self._columns_in(results)),
                    p_lines.eq(self._columns_in(results * factor)),
                ]
                with m.If(self.commands.valid):
                    m.next = "MEASURE"
            # Checker and accounts are pipelines that run in every cycle: these states wait for
            # their stages.
            with m.State("MEASURE"):
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.next = "JUDGE"
            with m.State("JUDGE"):
                m.d.sync += good.eq(checker.accepted)
                m.next = "ACT"
            with m.State("ACT"):
                m.d.sync += verdict.eq(checker.status)
                m.d.comb += [
                    self.loads.valid.eq(good & checker.opcode.load),
                    self.tiles.valid.eq(good & checker.opcode.compute),
                ]
                m.d.sync += [
                    strobes.configured.eq(good & checker.opcode.configure),
                    strobes.loaded.eq(self.loads.valid & self.loads.ready),
                    strobes.computed.eq(self.tiles.valid & self.tiles.ready),
                    strobes.refused.eq(~good & checker.opcode.configure),
                ]
                blocked = [port.valid & ~port.ready for port in (self.loads, self.tiles)]
                with m.If(~(blocked[0] | blocked[1])):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.status.valid.eq(1)
                with m.If(self.status.ready):
                    m.next = "FETCH"
        return strobes

    def _columns_in(self, size: int) -> Value:
        """The columns of the COMPUTE at the port in units of `size`, a power of two, rounded up.

        The result is right for legal numbers of columns; COMPUTEs with more columns are refused.
        """
        columns = view(Opcode.COMPUTE, self.commands.payload).columns
        most = self._config.cols * self._config.w_lanes
        return (columns[: bits_for(most)] + size - 1) >> (size.bit_length() - 1)

    def _configure(
        self, m: Module, command: data.View, settings: data.View, strobes: _Strobes
    ) -> None:
        """Write the settings of an accepted CONFIGURE; after a refused one there are none."""
        with m.If(strobes.configured):
            names = ("mode", "output", "k", "ratio", "offset")
            m.d.sync += [settings[name].eq(command[name]) for name in names]
            m.d.sync += settings.configured.eq(1)
            rings = {"x_lines": self._config.x_ring, "w_lines": self._config.w_ring}
            for name, ring in rings.items():
                shift = ring.factor.bit_length() - 1
                m.d.sync += settings[name].eq((command.k + ring.factor - 1) >> shift)
        with m.If(strobes.refused):
            m.d.sync += settings.configured.eq(0)

    def _account(
        self,
        m: Module,
        name: RingName,
        command: Signal,
        settings: data.View,
        depth: Value,
        checker: Checker,
        strobes: _Strobes,
    ) -> Account:
        """The account of a buffer, with its inputs connected."""
        load, compute = view(Opcode.LOAD, command), view(Opcode.COMPUTE, command)
        field = name.name.lower()
        account = Account(ring=self._config.rings[name], depth=depth.shape())
        m.submodules[f"account_{field}"] = account
        m.d.comb += [
            account.line.eq(compute[field]),
            account.depth.eq(depth),
            # Tiles that output bare sums need no parameters.
            account.unused.eq(settings.output == Output.SUM if name is RingName.P else C(0)),
            account.total.eq(checker.total),
            account.load.eq(strobes.loaded & (load.ring[: bits_for(max(RingName))] == name)),
            account.free.eq(strobes.computed & compute.free[name]),
        ]
        return account

    def _describe_load(self, m: Module, command: data.View) -> None:
        m.d.comb += [
            self.loads.payload.ring.eq(command.ring),
            self.loads.payload.lines.eq(command.lines - 1),
        ]

    def _describe_tile(
        self,
        m: Module,
        command: data.View,
        settings: data.View,
        chunks: Value,
        accounts: list[Account],
    ) -> None:
        tile = self.tiles.payload
        m.d.comb += [
            tile.mode.eq(settings.mode),
            tile.output.eq(settings.output),
            tile.depth.eq(settings.k - 1),
            tile.ratio.eq(settings.ratio),
            tile.offset.eq(settings.offset),
            tile.rows.eq(command.rows - 1),
            tile.chunks.eq(chunks - 1),
            tile.columns.eq((command.columns - 1) & (self._config.results - 1)),
        ]
        for name, account in zip(RingName, accounts, strict=True):
            panel = tile[name.name.lower()]
            m.d.comb += [
                panel.line.eq(command[name.name.lower()]),
                panel.needs.eq(account.needs),
                panel.frees.eq(Mux(command.free[name], account.behind, 0)),
            ]
