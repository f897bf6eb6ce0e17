"""The controller: commands in, checked against what was loaded, loads and tiles out."""

from collections.abc import Callable

from amaranth import Array as Choice
from amaranth import C, Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.spec.commands import COMMAND_WIDTH, FIELDS, Opcode, Output, Ring, RingName, Status
from hw.config import OFFSET_WIDTH, RATIO_WIDTH, Config
from hw.gateware.core.loader import load_layout
from hw.gateware.core.ring import sequence_width
from hw.gateware.core.tile import tile_layout

STATUS_WIDTH = 4

_BEHIND_WIDTH = FIELDS[Opcode.COMPUTE]["x"][1] + 2
"""Of a line as commanded plus a ring plus a panel: three numbers of a field's width."""


class _Account:
    """A ring as the accepted commands leave it: `tail`, its oldest line, and the lines behind that.

    What belongs to the compute command at hand goes through registers of its own, each a cycle
    after what it is made from: `distance` from the tail to its panel and `spare` lines for that;
    lines `behind` the tail that its panel ends, and whether they are loaded (`legal`); the tail as
    it `moved` there and lines `left` behind that.
    """

    def __init__(self, ring: Ring, name: str):
        self.ring = ring
        self.tail = Signal(range(ring.lines), name=f"{name}_tail")
        self.fill = Signal(range(ring.lines + 1), name=f"{name}_fill")
        self.sequence = Signal(sequence_width(ring), name=f"{name}_sequence")
        self.distance = Signal(_BEHIND_WIDTH, name=f"{name}_distance", reset_less=True)
        self.spare = Signal(signed(_BEHIND_WIDTH), name=f"{name}_spare", reset_less=True)
        self.known = Signal(name=f"{name}_known", reset_less=True)
        self.behind = Signal(_BEHIND_WIDTH, name=f"{name}_behind", reset_less=True)
        self.legal = Signal(name=f"{name}_legal", reset_less=True)
        self.moved = Signal(range(ring.lines), name=f"{name}_moved", reset_less=True)
        self.left = Signal(range(ring.lines + 1), name=f"{name}_left", reset_less=True)

    def follow(self, m: Module, line: Value, depth: Value, unused: Value) -> None:
        """Look for a panel of `depth` lines from `line` on, or for none; done after three cycles."""
        ahead, around = line - self.tail, line - self.tail + self.ring.lines
        depth = Mux(unused, 0, depth)
        end = self.tail + self.behind
        m.d.sync += [
            self.distance.eq(Mux(unused, 0, Mux(ahead < 0, around, ahead))),
            self.spare.eq(self.fill - depth),
            self.known.eq((line < self.ring.lines) | unused),
            self.behind.eq(self.distance + depth),
            # A line that the ring does not have is farther away than any that is spare.
            self.legal.eq(Cat(self.distance, ~self.known) <= self.spare),
            self.moved.eq(Mux(end >= self.ring.lines, end - self.ring.lines, end)),
            self.left.eq(self.fill - self.behind),
        ]


class Controller(wiring.Component):
    """Checks commands in order and queues what they ask for.

    Members: commands In(stream of 96 bits), status Out(stream of 4 bits), one for each command, in
    order; loads Out(stream of load_layout), tiles Out(stream of tile_layout).

    A command is accepted against the rings as the commands before it leave them: a load must fit, a
    tile's panels must have been asked for and not been freed. What is accepted will therefore run,
    however slow the streams. A command takes 6 cycles, and waits while the queue that it goes to is
    full or its status is not taken.
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
        verdict, good = Signal(STATUS_WIDTH), Signal()
        accounts = [
            _Account(ring, name.name.lower())
            for ring, name in zip(self._config.rings, RingName, strict=True)
        ]
        settings = self._settings()
        # More lines than a ring has are refused for that.
        total = Signal(range(4 * max(ring.lines for ring in self._config.rings)))
        is_a = {opcode: Signal(name=f"is_{opcode.name.lower()}") for opcode in Opcode}
        m.d.sync += [flag.eq(command[:8] == opcode) for opcode, flag in is_a.items()]
        found, accepted = self._judged(m, command, is_a, total, accounts, settings)
        # What a command changes is written in the cycle after it is accepted, which these say.
        done = {opcode: Signal(name=f"{opcode.name.lower()}_done") for opcode in Opcode}
        refused = Signal()
        m.d.comb += self.status.payload.eq(verdict)
        m.d.sync += [flag.eq(0) for flag in done.values()]
        m.d.sync += refused.eq(0)
        with m.FSM():
            with m.State("FETCH"):
                m.d.comb += self.commands.ready.eq(1)
                m.d.sync += command.eq(self.commands.payload)
                m.d.sync += [
                    settings["chunks"].eq(self._units(self.commands.payload, self._config.results)),
                    settings["p_lines"].eq(
                        self._units(self.commands.payload, self._columns_a_line())
                    ),
                ]
                with m.If(self.commands.valid):
                    m.next = "MEASURE"
            # Measures and comparisons are registers, written in every cycle.
            with m.State("MEASURE"):
                m.next = "COMPARE"
            with m.State("COMPARE"):
                m.next = "JUDGE"
            with m.State("JUDGE"):
                m.d.sync += good.eq(accepted)
                m.next = "ACT"
            with m.State("ACT"):
                m.d.sync += verdict.eq(found)
                m.d.comb += [
                    self.loads.valid.eq(good & is_a[Opcode.LOAD]),
                    self.tiles.valid.eq(good & is_a[Opcode.COMPUTE]),
                ]
                m.d.sync += [
                    done[Opcode.CONFIGURE].eq(good & is_a[Opcode.CONFIGURE]),
                    done[Opcode.LOAD].eq(self.loads.valid & self.loads.ready),
                    done[Opcode.COMPUTE].eq(self.tiles.valid & self.tiles.ready),
                    refused.eq(~good & is_a[Opcode.CONFIGURE]),
                ]
                with m.If(
                    ~(
                        (self.loads.valid & ~self.loads.ready)
                        | (self.tiles.valid & ~self.tiles.ready)
                    )
                ):
                    m.next = "ANSWER"
            with m.State("ANSWER"):
                m.d.comb += self.status.valid.eq(1)
                with m.If(self.status.ready):
                    m.next = "FETCH"
        with m.If(done[Opcode.CONFIGURE]):
            self._configure(m, command, settings)
        with m.If(done[Opcode.LOAD]):
            self._load(m, command, total, accounts)
        with m.If(done[Opcode.COMPUTE]):
            self._free(m, command, accounts)
        with m.If(refused):
            m.d.sync += settings["configured"].eq(0)
        self._queue(m, command, accounts, settings)
        return m

    def _settings(self) -> dict[str, Signal]:
        """What is configured, and of the command at hand the chunks of a row and the lines of its parameters."""
        config = self._config
        return {
            "configured": Signal(),
            "mode": Signal(config.mode_width),
            "output": Signal(2),
            "k": Signal(range(config.k_max + 1)),
            "chunks": Signal(range(config.cols * config.w_lanes + 2)),
            "p_lines": Signal(range(config.cols * config.w_lanes + 2)),
            "ratio": Signal(RATIO_WIDTH),
            "offset": Signal(OFFSET_WIDTH),
            "x_lines": Signal(range(config.x_ring.lines + 1)),
            "w_lines": Signal(range(config.w_ring.lines + 1)),
        }

    def _judged(
        self,
        m: Module,
        command: Signal,
        is_a: dict[Opcode, Signal],
        total: Signal,
        accounts: list[_Account],
        settings: dict[str, Signal],
    ) -> tuple[Value, Value]:
        """The command's status, four cycles after it is there, and whether that is OK, a cycle before.

        `total` is what a load would fill its ring to.
        """
        config = self._config
        field = _field(command)
        configure, load, compute = Opcode.CONFIGURE, Opcode.LOAD, Opcode.COMPUTE

        by_mode = [
            (config.rows * mode.x_lanes, config.cols * mode.w_lanes) for mode in config.modes
        ]
        most_rows = Signal(range(config.rows * config.x_lanes + 1))
        most_columns = Signal(range(config.cols * config.w_lanes + 1))
        ring, lines = field(load, "ring"), field(load, "lines")
        rows, columns, k = field(compute, "rows"), field(compute, "columns"), field(configure, "k")
        ratio, offset = field(configure, "ratio"), field(configure, "offset")
        size = Signal(range(max(a.ring.lines for a in accounts) + 1))
        x, w, p = accounts
        checks = {
            configure: [
                (field(configure, "mode") < len(config.modes), Status.MODE),
                (field(configure, "output") < len(Output), Status.OUTPUT),
                (k != 0, Status.K),
                (k <= config.k_max, Status.K),
                (ratio != 0, Status.RATIO),
                (ratio < 1 << RATIO_WIDTH, Status.RATIO),
                (offset < 1 << OFFSET_WIDTH, Status.OFFSET),
            ],
            load: [
                (ring < len(RingName), Status.RING),
                (lines != 0, Status.LINES),
                (lines[len(size) :] == 0, Status.LINES),
                (lines[: len(size)] <= size, Status.LINES),
                (total <= size, Status.FULL),
            ],
            compute: [
                (settings["configured"], Status.UNCONFIGURED),
                (rows != 0, Status.ROWS),
                (rows <= most_rows, Status.ROWS),
                (columns != 0, Status.COLUMNS),
                (columns <= most_columns, Status.COLUMNS),
            ],
        }
        m.d.sync += [
            most_rows.eq(Choice(rows for rows, _ in by_mode)[settings["mode"]]),
            most_columns.eq(Choice(columns for _, columns in by_mode)[settings["mode"]]),
            size.eq(Choice(a.ring.lines for a in accounts)[ring[:2]]),
            total.eq(Choice(a.fill for a in accounts)[ring[:2]] + lines[: len(size)]),
        ]
        # Sums alone need no parameters.
        unused = settings["output"] == Output.SUM
        for account, name in zip(accounts, RingName, strict=True):
            account.follow(
                m,
                field(compute, name.name.lower()),
                settings[f"{name.name.lower()}_lines"],
                unused if name is RingName.P else C(0),
            )

        verdict, accepted = Signal(STATUS_WIDTH), []
        m.d.comb += verdict.eq(Status.OPCODE)
        for opcode, of_command in checks.items():
            legal = []
            for good, status in of_command:
                flag = Signal(name=f"good_{status.name.lower()}")
                m.d.sync += flag.eq(good)
                legal.append((flag, status))
            if opcode is compute:
                legal += [(x.legal, Status.X), (w.legal, Status.W), (p.legal, Status.P)]
            # Found beside the status, not from it: fewer gates in a row.
            accepted.append(is_a[opcode] & Cat(flag for flag, _ in legal).all())
            first: Value = Value.cast(Status.OK.value)
            for flag, status in reversed(legal):
                first = Mux(flag, first, status.value)
            answer = Signal(STATUS_WIDTH, name=f"answer_{opcode.name.lower()}", reset_less=True)
            m.d.sync += answer.eq(first)
            with m.If(is_a[opcode]):
                m.d.comb += verdict.eq(answer)
        return verdict, Cat(accepted).any()

    def _columns_a_line(self) -> int:
        """Columns whose parameters are a line of their ring."""
        return self._config.results * self._config.p_ring.factor

    def _units(self, command: Value, size: int) -> Value:
        """A tile's columns in units of `size`, a power of two; of as many columns as the array has."""
        columns = _field(command)(Opcode.COMPUTE, "columns")
        most = self._config.cols * self._config.w_lanes
        return (columns[: bits_for(most)] + size - 1) >> (size.bit_length() - 1)

    def _configure(self, m: Module, command: Signal, settings: dict[str, Signal]) -> None:
        field = _field(command)
        names = ("mode", "output", "k", "ratio", "offset")
        m.d.sync += [settings[name].eq(field(Opcode.CONFIGURE, name)) for name in names]
        m.d.sync += settings["configured"].eq(1)
        for name, ring in (("x_lines", self._config.x_ring), ("w_lines", self._config.w_ring)):
            lines = (field(Opcode.CONFIGURE, "k") + ring.factor - 1) >> (
                ring.factor.bit_length() - 1
            )
            m.d.sync += settings[name].eq(lines)

    def _load(self, m: Module, command: Signal, total: Signal, accounts: list[_Account]) -> None:
        ring = _field(command)(Opcode.LOAD, "ring")[:2]
        for account, name in zip(accounts, RingName, strict=True):
            with m.If(ring == name.value):
                m.d.sync += account.fill.eq(total)

    def _free(self, m: Module, command: Signal, accounts: list[_Account]) -> None:
        for account, name in zip(accounts, RingName, strict=True):
            with m.If(self._frees(command, name)):
                m.d.sync += [
                    account.tail.eq(account.moved),
                    account.fill.eq(account.left),
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
            tile.chunks.eq(settings["chunks"] - 1),
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
