"""The core's command set as records: what a host sends, what it is answered, and how large a core is.

docs/reference/commands.md is the contract; scheduler and hardware both read these records and share
nothing else.
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
"""Bits of a command: three words of 32."""

PARAMETER_BYTES = 8
"""Bytes of a column's parameters on the load stream; the last one is ignored."""

PARAMETER_FIELDS = {"bias": (0, 32), "mult": (32, 16), "shift": (48, 8)}
"""First bit and width of every field in them."""


class Opcode(IntEnum):
    """What a command asks for."""

    CONFIGURE = 1
    LOAD = 2
    COMPUTE = 3


class RingName(IntEnum):
    """The buffers that loads fill."""

    X = 0
    W = 1
    P = 2


class Output(IntEnum):
    """What leaves a tile: sums, sums + bias, or codes of 8 or 4 bits."""

    SUM = 0
    BIASED = 1
    EIGHT = 2
    FOUR = 3


class Status(IntEnum):
    """The answer to a command.

    One that is refused has no effect, but that no tile may follow a refused CONFIGURE.
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
    """Settings of the tiles that follow: mode by its index in the build, depth, piece-wise parameters, output."""

    mode: int
    k: int
    output: int = Output.SUM
    ratio: int = 1
    offset: int = 0


@dataclass(frozen=True)
class Load:
    """The next `lines` lines of the load stream go to a ring."""

    ring: int
    lines: int


@dataclass(frozen=True)
class Compute:
    """One tile from panels at lines x and w, parameters at line p; `rows` x `columns` of its results are wanted.

    `free` has a bit for each ring (1 << RingName): its lines up to the end of this tile's panel are
    done with.
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
"""First bit and width of every field; the opcode is in bits 0 to 7, bits of no field are ignored."""

_OPCODES = {Configure: Opcode.CONFIGURE, Load: Opcode.LOAD, Compute: Opcode.COMPUTE}


def encode(command: Command) -> int:
    """A command as a number of `COMMAND_WIDTH` bits. Raises ValueError if a field does not fit."""
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
    """A buffer of `words` words of `word` bytes, filled from a bus of `bus` bytes a cycle.

    It is written in lines of `factor` words, the least power of two with which a beat of the bus
    never completes two lines. A panel begins on a line; what its last line has beyond it is
    ignored.
    """

    word: int
    words: int
    bus: int

    @property
    def factor(self) -> int:
        """Words in a line."""
        factor = 1
        while factor * self.word < self.bus:
            factor *= 2
        return factor

    @property
    def line(self) -> int:
        """Bytes in a line."""
        return self.word * self.factor

    @property
    def lines(self) -> int:
        """Lines in the ring."""
        return -(-self.words // self.factor)

    def lines_for(self, words: int) -> int:
        """Lines of a panel of so many words."""
        return -(-words // self.factor)

    def transfers(self, lines: int) -> int:
        """Beats of the bus for so many lines; a load begins with a beat of its own."""
        return -(-lines * self.line // self.bus)


@dataclass(frozen=True)
class Geometry:
    """What a scheduler must know of a core.

    `interval` is the least distance of two tiles' ends, `latency` the cycles from a tile's last k
    to its first result, `slots` the tiles in flight between the two, given up `drain` cycles before
    their last result; `lanes` results leave in a cycle.
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
        """By RingName."""
        return self.x, self.w, self.p
