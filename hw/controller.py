"""The controller: commands in, checked against what was loaded, loads and tiles out."""

from collections.abc import Callable

from amaranth import Array as Choice
from amaranth import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from golden.commands import COMMAND_WIDTH, FIELDS, Opcode, Output, Ring, RingName, Status
from hw.config import OFFSET_WIDTH, RATIO_WIDTH, Config
from hw.loader import load_layout
from hw.ring import sequence_width
from hw.tile import tile_layout

STATUS_WIDTH = 4

_BEHIND_WIDTH = FIELDS[Opcode.COMPUTE]["x"][1] + 2
"""Of a line as commanded plus a ring plus a panel: three numbers of a field's width."""


class _Account:
    """A ring as the accepted commands leave it: `tail`, its oldest line, and the lines behind that."""

    def __init__(self, ring: Ring, name: str):
        self.ring = ring
        self.tail = Signal(range(ring.lines), name=f"{name}_tail")
        self.fill = Signal(range(ring.lines + 1), name=f"{name}_fill")
        self.sequence = Signal(sequence_width(ring), name=f"{name}_sequence")
        # Of the compute command at hand: lines from the tail to its panel's end, and whether they are loaded.
        self.behind = Signal(_BEHIND_WIDTH, name=f"{name}_behind")
        self.legal = Signal(name=f"{name}_legal")

    def moved(self, lines: Value) -> Value:
        """The tail behind so many lines."""
        moved = self.tail + lines
        return Mux(moved >= self.ring.lines, moved - self.ring.lines, moved)


class Controller(wiring.Component):
    """Checks commands in order and queues what they ask for.

    Members: commands In(stream of 96 bits), status Out(stream of 4 bits), one for each command, in order;
    loads Out(stream of load_layout), tiles Out(stream of tile_layout).

    A command is accepted against the rings as the commands before it leave them: a load must fit, a tile's panels
    must have been asked for and not been freed. What is accepted will therefore run, however slow the streams.
    A command takes 5 cycles, and waits while the queue that it goes to is full or its status is not taken.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "commands": In(stream.Signature(COMMAND_WIDTH)),
                "status": Out(stream.Signature(STATUS_WIDTH)),
                "loads": Out(stream.Signature(load_layout(config))),
                "tiles": Out(stream.Signature(tile_layout(config))),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        command = Signal(COMMAND_WIDTH, reset_less=True)
        opcode = command[:8]
        verdict = Signal(STATUS_WIDTH)
        accounts = [
            _Account(ring, name.name.lower()) for ring, name in zip(self._config.rings, RingName, strict=True)
        ]
        settings = self._settings()
        judged = self._judged(m, command, accounts, settings)
        m.d.comb += self.status.payload.eq(verdict)
        with m.FSM():
            with m.State("FETCH"):
                m.d.comb += self.commands.ready.eq(1)
                m.d.sync += command.eq(self.commands.payload)
                with m.If(self.commands.valid):
                    m.next = "MEASURE"
            with m.State("MEASURE"):
                # Its results are registers, written in every cycle.
                m.next = "JUDGE"
            with m.State("JUDGE"):
                m.d.sync += verdict.eq(judged)
                m.next = "ACT"
            with m.State("ACT"):
                with m.If(verdict != Status.OK):
                    m.next = "ANSWER"
                    with m.If(opcode == Opcode.CONFIGURE):
                        m.d.sync += settings["configured"].eq(0)
                with m.Elif(opcode == Opcode.CONFIGURE):
                    self._configure(m, command, settings)
                    m.next = "ANSWER"
                with m.Elif(opcode == Opcode.LOAD):
                    m.d.comb += self.loads.valid.eq(1)
                    with m.If(self.loads.ready):
                        self._load(m, command, accounts)
                        m.next = "ANSWER"
                with m.Else():
                    m.d.comb += self.tiles.valid.eq(1)
                    with m.If(self.tiles.ready):
                        self._free(m, command, accounts)
                        m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.status.valid.eq(1)
                with m.If(self.status.ready):
                    m.next = "FETCH"
        self._queue(m, command, accounts, settings)
        return m

    def _settings(self) -> dict[str, Signal]:
        config = self._config
        return {
            "configured": Signal(),
            "mode": Signal(config.mode_width),
            "output": Signal(2),
            "k": Signal(range(config.k_max + 1)),
            "ratio": Signal(RATIO_WIDTH),
            "offset": Signal(OFFSET_WIDTH),
            "x_lines": Signal(range(config.x_ring.lines + 1)),
            "w_lines": Signal(range(config.w_ring.lines + 1)),
        }

    def _judged(
        self, m: Module, command: Signal, accounts: list[_Account], settings: dict[str, Signal]
    ) -> Value:
        """The status of the command, two cycles after it is there."""
        config = self._config
        field = _field(command)
        configure, load, compute = Opcode.CONFIGURE, Opcode.LOAD, Opcode.COMPUTE

        most_rows, most_columns = Signal(16), Signal(16)
        by_mode = [(config.rows * mode.x_lanes, config.cols * mode.w_lanes) for mode in config.modes]
        m.d.comb += [
            most_rows.eq(Choice(rows for rows, _ in by_mode)[settings["mode"]]),
            most_columns.eq(Choice(columns for _, columns in by_mode)[settings["mode"]]),
        ]
        legal = {name: Signal(name=f"legal_{name}") for name in ("rows", "columns", "ring", "lines", "k")}
        ring, lines = field(load, "ring"), field(load, "lines")
        rows, columns, k = field(compute, "rows"), field(compute, "columns"), field(configure, "k")
        total = Signal(34)
        # Sums alone need no parameters.
        unused = settings["output"] == Output.SUM
        fill, size = (
            Choice(a.fill for a in accounts)[ring[:2]],
            Choice(a.ring.lines for a in accounts)[ring[:2]],
        )
        m.d.sync += [
            legal["rows"].eq((rows != 0) & (rows <= most_rows)),
            legal["columns"].eq((columns != 0) & (columns <= most_columns)),
            legal["ring"].eq(ring < len(RingName)),
            legal["lines"].eq((lines != 0) & (lines <= size)),
            legal["k"].eq((k != 0) & (k <= config.k_max)),
            total.eq(fill + lines),
        ]
        for account, name in zip(accounts, RingName, strict=True):
            line = field(compute, name.name.lower())
            depth = self._panel_lines(command, settings, name)
            distance = Mux(
                line >= account.tail, line - account.tail, line + account.ring.lines - account.tail
            )
            if name is RingName.P:
                depth = Mux(unused, 0, depth)
                distance = Mux(unused, 0, distance)
            m.d.sync += account.behind.eq(distance + depth)
            known = Signal(name=f"{name.name.lower()}_known")
            m.d.sync += known.eq(line < account.ring.lines)
            m.d.comb += account.legal.eq(
                (known & (account.behind <= account.fill)) | (unused if name is RingName.P else 0)
            )

        def first(*checks: tuple[Value, Status]) -> Value:
            verdict: Value = Value.cast(Status.OK.value)
            for good, status in reversed(checks):
                verdict = Mux(good, verdict, status.value)
            return verdict

        ratio, offset = field(configure, "ratio"), field(configure, "offset")
        x, w, p = accounts
        verdict = Signal(STATUS_WIDTH)
        m.d.comb += verdict.eq(Status.OPCODE)
        with m.Switch(command[:8]):
            with m.Case(configure):
                m.d.comb += verdict.eq(
                    first(
                        (field(configure, "mode") < len(config.modes), Status.MODE),
                        (field(configure, "output") < len(Output), Status.OUTPUT),
                        (legal["k"], Status.K),
                        ((ratio != 0) & (ratio < 1 << RATIO_WIDTH), Status.RATIO),
                        (offset < 1 << OFFSET_WIDTH, Status.OFFSET),
                    )
                )
            with m.Case(load):
                m.d.comb += verdict.eq(
                    first(
                        (legal["ring"], Status.RING),
                        (legal["lines"], Status.LINES),
                        (total <= Choice(a.ring.lines for a in accounts)[ring[:2]], Status.FULL),
                    )
                )
            with m.Case(compute):
                m.d.comb += verdict.eq(
                    first(
                        (settings["configured"], Status.UNCONFIGURED),
                        (legal["rows"], Status.ROWS),
                        (legal["columns"], Status.COLUMNS),
                        (x.legal, Status.X),
                        (w.legal, Status.W),
                        (p.legal, Status.P),
                    )
                )
        return verdict

    def _panel_lines(self, command: Signal, settings: dict[str, Signal], name: RingName) -> Value:
        """Lines of the panel that a compute command means."""
        if name is RingName.P:
            ring = self._config.p_ring
            words = self._chunks(command)
            return (words + ring.factor - 1) >> (ring.factor.bit_length() - 1)
        return settings[f"{name.name.lower()}_lines"]

    def _chunks(self, command: Signal) -> Value:
        """Cycles that a row of a tile's results takes to leave."""
        results = self._config.results
        columns = _field(command)(Opcode.COMPUTE, "columns")
        return (columns + results - 1) >> (results.bit_length() - 1)

    def _configure(self, m: Module, command: Signal, settings: dict[str, Signal]) -> None:
        field = _field(command)
        names = ("mode", "output", "k", "ratio", "offset")
        m.d.sync += [settings[name].eq(field(Opcode.CONFIGURE, name)) for name in names]
        m.d.sync += settings["configured"].eq(1)
        for name, ring in (("x_lines", self._config.x_ring), ("w_lines", self._config.w_ring)):
            lines = (field(Opcode.CONFIGURE, "k") + ring.factor - 1) >> (ring.factor.bit_length() - 1)
            m.d.sync += settings[name].eq(lines)

    def _load(self, m: Module, command: Signal, accounts: list[_Account]) -> None:
        field = _field(command)
        for account, name in zip(accounts, RingName, strict=True):
            with m.If(field(Opcode.LOAD, "ring") == name.value):
                m.d.sync += account.fill.eq(account.fill + field(Opcode.LOAD, "lines"))

    def _free(self, m: Module, command: Signal, accounts: list[_Account]) -> None:
        for account, name in zip(accounts, RingName, strict=True):
            with m.If(self._frees(command, name)):
                m.d.sync += [
                    account.tail.eq(account.moved(account.behind)),
                    account.fill.eq(account.fill - account.behind),
                    account.sequence.eq(account.sequence + account.behind),
                ]

    def _frees(self, command: Signal, name: RingName) -> Value:
        return _field(command)(Opcode.COMPUTE, "free")[name.value]

    def _queue(
        self, m: Module, command: Signal, accounts: list[_Account], settings: dict[str, Signal]
    ) -> None:
        """What goes to the queues, when a command is accepted."""
        field = _field(command)
        load, tile = self.loads.payload, self.tiles.payload
        columns = field(Opcode.COMPUTE, "columns")
        m.d.comb += [
            load.ring.eq(field(Opcode.LOAD, "ring")),
            load.lines.eq(field(Opcode.LOAD, "lines") - 1),
            tile.mode.eq(settings["mode"]),
            tile.output.eq(settings["output"]),
            tile.depth.eq(settings["k"] - 1),
            tile.ratio.eq(settings["ratio"]),
            tile.offset.eq(settings["offset"]),
            tile.rows.eq(field(Opcode.COMPUTE, "rows") - 1),
            tile.chunks.eq(self._chunks(command) - 1),
            tile.columns.eq((columns - 1) & (self._config.results - 1)),
        ]
        for account, name in zip(accounts, RingName, strict=True):
            panel = tile[name.name.lower()]
            m.d.comb += [
                panel.line.eq(field(Opcode.COMPUTE, name.name.lower())),
                panel.needs.eq(account.sequence + account.behind),
                panel.frees.eq(Mux(self._frees(command, name), account.behind, 0)),
            ]


def _field(command: Value) -> Callable[[Opcode, str], Value]:
    """Fields of a command by opcode and name."""

    def field(opcode: Opcode, name: str) -> Value:
        start, width = FIELDS[opcode][name]
        return command[start : start + width]

    return field
