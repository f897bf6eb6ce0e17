"""The core's command set: commands, statuses and the geometry that a scheduler needs.

Normative: docs/reference/commands.md. Scheduler and hardware share these records and nothing else.
"""

from dataclasses import dataclass
from enum import IntEnum

__all__ = [
    "COMMAND_WIDTH",
    "FIELDS",
    "PARAMETER_BYTES",
    "PARAMETER_FIELDS",
    "Command",
    "Compute",
    "Configure",
    "Geometry",
    "Load",
    "Opcode",
    "Output",
    "Ring",
    "RingName",
    "Status",
    "encode",
]

COMMAND_WIDTH = 96
"""Bits of a command: three 32-bit words."""

PARAMETER_BYTES = 8
"""Bytes of one column's parameters on the load stream; the last byte is ignored."""

PARAMETER_FIELDS = {"bias": (0, 32), "mult": (32, 16), "shift": (48, 8)}
"""First bit and width of each field of one column's parameters."""


class Opcode(IntEnum):
    """Operation of a command."""

    CONFIGURE = 1
    LOAD = 2
    COMPUTE = 3


class RingName(IntEnum):
    """The ring buffers: x operands, w operands and per-column parameters."""

    X = 0
    W = 1
    P = 2


class Output(IntEnum):
    """Results of a tile: sums, sums + bias, or requantized codes of 8 or 4 bits."""

    SUM = 0
    BIASED = 1
    EIGHT = 2
    FOUR = 3


class Status(IntEnum):
    """Answer to a command.

    A refused command has no effect, except that a refused CONFIGURE makes later tiles illegal until
    another CONFIGURE is accepted.
    """

    OK = 0
    OPCODE = 1
    MODE = 2
    OUTPUT = 3
    K = 4
    RATIO = 5
    OFFSET = 6
    RING = 7
    LINES = 8
    FULL = 9
    UNCONFIGURED = 10
    ROWS = 11
    COLUMNS = 12
    X = 13
    W = 14
    P = 15


@dataclass(frozen=True)
class Configure:
    """Settings of the tiles that follow.

    `mode` is the mode's index in the build, `k` the depth of the sums, `output` an Output, `ratio`
    and `offset` the piece-wise format's r and t.
    """

    mode: int
    k: int
    output: int = Output.SUM
    ratio: int = 1
    offset: int = 0


@dataclass(frozen=True)
class Load:
    """Write the next `lines` lines of the load stream to a ring."""

    ring: int
    lines: int


@dataclass(frozen=True)
class Compute:
    """Compute one tile and deliver `rows` x `columns` of its results.

    `x` and `w` are the first lines of the operand panels, `p` is the first line of the parameters.
    `free` has one bit per ring (1 << RingName): it frees the ring's lines up to the end of this
    tile's panel.
    """

    x: int
    w: int
    p: int
    rows: int
    columns: int
    free: int = 0


Command = Configure | Load | Compute

FIELDS: dict[Opcode, dict[str, tuple[int, int]]] = {
    Opcode.CONFIGURE: {
        "mode": (8, 8),
        "output": (16, 8),
        "k": (32, 16),
        "ratio": (48, 8),
        "offset": (56, 8),
    },
    Opcode.LOAD: {"ring": (8, 8), "lines": (32, 32)},
    Opcode.COMPUTE: {
        "free": (8, 8),
        "p": (16, 16),
        "rows": (32, 16),
        "columns": (48, 16),
        "x": (64, 16),
        "w": (80, 16),
    },
}
"""First bit and width of each field by opcode.

The opcode occupies bits 0 to 7. Bits outside all fields are ignored.
"""

_OPCODES = {Configure: Opcode.CONFIGURE, Load: Opcode.LOAD, Compute: Opcode.COMPUTE}


def encode(command: Command) -> int:
    """Encode a command as an integer of `COMMAND_WIDTH` bits.

    Raises ValueError for a value that does not fit its field.
    """
    opcode = _OPCODES[type(command)]
    word = int(opcode)
    for name, (start, width) in FIELDS[opcode].items():
        value = getattr(command, name)
        if not 0 <= value < 1 << width:
            raise ValueError(f"{name}: expected 0..{(1 << width) - 1}, got {value}")
        word |= value << start
    return word


@dataclass(frozen=True)
class Ring:
    """A ring buffer of `words` words of `word` bytes, filled from a bus of `bus` bytes per cycle.

    It is written in lines of `factor` words. A panel begins at a line; the rest of its last line is
    ignored.
    """

    word: int
    words: int
    bus: int

    @property
    def factor(self) -> int:
        """Words per line: the least power of two that makes a line at least as wide as the bus.

        One transfer therefore never completes two lines.
        """
        factor = 1
        while factor * self.word < self.bus:
            factor *= 2
        return factor

    @property
    def line(self) -> int:
        """Bytes per line."""
        return self.word * self.factor

    @property
    def lines(self) -> int:
        """Lines of the ring."""
        return -(-self.words // self.factor)

    def lines_for(self, words: int) -> int:
        """Lines of a panel of `words` words."""
        return -(-words // self.factor)

    def transfers(self, lines: int) -> int:
        """Bus transfers of a load of `lines` lines; each load starts with a new transfer."""
        return -(-lines * self.line // self.bus)


@dataclass(frozen=True)
class Geometry:
    """Parameters of a core that a scheduler needs.

    `bus` is in bytes per load transfer and `results` in results per result transfer. `interval` is
    the least number of cycles between the last k of two consecutive tiles, `latency` the cycles
    from a tile's last k to its first result. `slots` tiles may be in flight between these two; a
    tile releases its slot `drain` cycles before its last result. `load_queue` and `compute_queue`
    are the depths of the command queues, `k_max` is the largest K.
    """

    rows: int
    cols: int
    bus: int
    results: int
    x: Ring
    w: Ring
    p: Ring
    interval: int
    latency: int
    drain: int
    slots: int
    load_queue: int
    compute_queue: int
    k_max: int

    @property
    def rings(self) -> tuple[Ring, Ring, Ring]:
        """The rings, indexed by RingName."""
        return self.x, self.w, self.p
