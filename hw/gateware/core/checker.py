"""The checker: compares a command with the build, its settings and the accounts of the buffers."""

from amaranth import Array as Choice
from amaranth import Cat, Module, Mux, Signal, Value
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import bits_for

from golden.spec.commands import COMMAND_WIDTH, Opcode, Output, RingName, Status
from hw.config import OFFSET_WIDTH, RATIO_WIDTH, Config
from hw.gateware.core.command import OPCODE_WIDTH, StatusCode, view

__all__ = ["Checker", "fill_layout", "opcode_layout", "settings_layout", "total_shape"]

Check = tuple[Value, Status]
"""A condition that must hold, and the status of a command that does not meet it."""


def settings_layout(config: Config) -> data.StructLayout:
    """Settings that CONFIGURE leaves for the tiles that follow.

    `configured` is 1 if the last CONFIGURE was accepted; `x_lines` and `w_lines` are the lines of a
    panel.
    """
    return data.StructLayout(
        {
            "configured": 1,
            "mode": config.mode_width,
            "output": 2,
            "k": range(config.k_max + 1),
            "ratio": RATIO_WIDTH,
            "offset": OFFSET_WIDTH,
            "x_lines": range(config.x_ring.lines + 1),
            "w_lines": range(config.w_ring.lines + 1),
        }
    )


def opcode_layout() -> data.StructLayout:
    """One bit for each opcode, by its name in lower case; none is set for an unknown one."""
    return data.StructLayout({opcode.name.lower(): 1 for opcode in Opcode})


def fill_layout(config: Config) -> data.StructLayout:
    """`Account.fill` of the three buffers."""
    rings = zip("xwp", config.rings, strict=True)
    return data.StructLayout({name: range(ring.lines + 1) for name, ring in rings})


def total_shape(config: Config) -> range:
    """Range of the lines in use of a buffer plus those of a LOAD, before its size is checked."""
    return range(4 * max(ring.lines for ring in config.rings))


class Checker(wiring.Component):
    """Finds the status of a command.

    Parameters:
      config   the build

    Members:
      command In(96)               the command, held until the next one
      settings In(settings_layout) what CONFIGURE has set
      fill In(fill_layout)         lines in use of each buffer
      legal In(3)                  2 cycles after `command`: bit i is 1 if the tile's panel in
                                   buffer RingName(i) is legal
      opcode Out(opcode_layout)    1 cycle after `command`: its opcode
      total Out(total_shape)       1 cycle after `command`: lines in use of a LOAD's buffer if it
                                   were accepted
      accepted Out(1)              2 cycles after `command`: the status is OK
      status Out(StatusCode)       3 cycles after `command`: the first check that fails, or OK

    No flow control.
    """

    def __init__(self, config: Config):
        self._config = config
        super().__init__(
            {
                "command": In(COMMAND_WIDTH),
                "settings": In(settings_layout(config)),
                "fill": In(fill_layout(config)),
                "legal": In(len(RingName)),
                "opcode": Out(opcode_layout()),
                "total": Out(total_shape(config)),
                "accepted": Out(1),
                "status": Out(StatusCode),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for opcode in Opcode:
            m.d.sync += self.opcode[opcode.name.lower()].eq(self.command[:OPCODE_WIDTH] == opcode)
        checks = {
            Opcode.CONFIGURE: self._registered(m, self._of_configure()),
            Opcode.LOAD: self._registered(m, self._of_load(m)),
            Opcode.COMPUTE: [
                *self._registered(m, self._of_compute(m)),
                (self.legal[RingName.X], Status.X),
                (self.legal[RingName.W], Status.W),
                (self.legal[RingName.P], Status.P),
            ],
        }
        accepted = []
        m.d.comb += self.status.eq(StatusCode.OPCODE)
        for opcode, of_opcode in checks.items():
            chosen = self.opcode[opcode.name.lower()]
            # `accepted` is not derived from `status`, which would put more gates in series.
            accepted.append(chosen & Cat(good for good, _ in of_opcode).all())
            first: Value = Value.cast(StatusCode.OK)
            for good, status in reversed(of_opcode):
                first = Mux(good, first, StatusCode(status))
            answer = Signal(StatusCode, name=f"answer_{opcode.name.lower()}", reset_less=True)
            m.d.sync += answer.eq(first)
            with m.If(chosen):
                m.d.comb += self.status.eq(answer)
        m.d.comb += self.accepted.eq(Cat(accepted).any())
        return m

    @staticmethod
    def _registered(m: Module, checks: list[Check]) -> list[Check]:
        """Checks whose conditions are registers."""
        flags = []
        for good, status in checks:
            flag = Signal(name=f"good_{status.name.lower()}")
            m.d.sync += flag.eq(good)
            flags.append((Value.cast(flag), status))
        return flags

    def _of_configure(self) -> list[Check]:
        command = view(Opcode.CONFIGURE, self.command)
        return [
            (command.mode < len(self._config.modes), Status.MODE),
            (command.output < len(Output), Status.OUTPUT),
            (command.k != 0, Status.K),
            (command.k <= self._config.k_max, Status.K),
            (command.ratio != 0, Status.RATIO),
            (command.ratio < 1 << RATIO_WIDTH, Status.RATIO),
            (command.offset < 1 << OFFSET_WIDTH, Status.OFFSET),
        ]

    def _of_load(self, m: Module) -> list[Check]:
        rings = self._config.rings
        command = view(Opcode.LOAD, self.command)
        size = Signal(range(max(ring.lines for ring in rings) + 1))
        ring, lines = command.ring[: bits_for(len(RingName) - 1)], command.lines
        low, high = lines[: len(size)], lines[len(size) :]
        m.d.sync += [
            size.eq(Choice(ring.lines for ring in rings)[ring]),
            self.total.eq(Choice(self.fill[name] for name in "xwp")[ring] + low),
        ]
        return [
            (command.ring < len(RingName), Status.RING),
            (lines != 0, Status.LINES),
            (high == 0, Status.LINES),
            (low <= size, Status.LINES),
            (self.total <= size, Status.FULL),
        ]

    def _of_compute(self, m: Module) -> list[Check]:
        config = self._config
        command = view(Opcode.COMPUTE, self.command)
        most_rows = Signal(range(config.rows * config.x_lanes + 1))
        most_columns = Signal(range(config.cols * config.w_lanes + 1))
        rows = Choice(config.rows * mode.x_lanes for mode in config.modes)
        columns = Choice(config.cols * mode.w_lanes for mode in config.modes)
        m.d.sync += [
            most_rows.eq(rows[self.settings.mode]),
            most_columns.eq(columns[self.settings.mode]),
        ]
        return [
            (self.settings.configured, Status.UNCONFIGURED),
            (command.rows != 0, Status.ROWS),
            (command.rows <= most_rows, Status.ROWS),
            (command.columns != 0, Status.COLUMNS),
            (command.columns <= most_columns, Status.COLUMNS),
        ]
