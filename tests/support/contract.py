"""Contract of the command set in plain Python, and random commands near its limits."""

import random
from dataclasses import dataclass, field

import numpy as np

from golden.spec.commands import (
    COMMAND_WIDTH,
    FIELDS,
    Opcode,
    Status,
)
from tests.support.host import LINES, SUBJECT


@dataclass
class Reference:
    """Contract of the commands in plain Python: the status of each, and the state it leaves."""

    tails: list[int] = field(default_factory=lambda: [0, 0, 0])
    fills: list[int] = field(default_factory=lambda: [0, 0, 0])
    settings: dict[str, int] | None = None
    load_transfers: int = 0
    result_beats: int = 0

    def answer(self, bits: int) -> Status:
        opcode = bits & 0xFF
        if opcode not in (1, 2, 3):
            return Status.OPCODE
        values = {
            name: bits >> start & (1 << width) - 1
            for name, (start, width) in FIELDS[Opcode(opcode)].items()
        }
        return {1: self._configure, 2: self._load, 3: self._compute}[opcode](values)

    def _configure(self, values: dict[str, int]) -> Status:
        self.settings = None
        for good, status in (
            (values["mode"] < len(SUBJECT.modes), Status.MODE),
            (values["output"] < 4, Status.OUTPUT),
            (1 <= values["k"] <= SUBJECT.k_max, Status.K),
            (1 <= values["ratio"] <= 63, Status.RATIO),
            (values["offset"] <= 63, Status.OFFSET),
        ):
            if not good:
                return status
        self.settings = values
        return Status.OK

    def _load(self, values: dict[str, int]) -> Status:
        ring, lines = values["ring"], values["lines"]
        if ring > 2:
            return Status.RING
        if not 1 <= lines <= LINES[ring]:
            return Status.LINES
        if self.fills[ring] + lines > LINES[ring]:
            return Status.FULL
        self.fills[ring] += lines
        self.load_transfers += -(-lines * SUBJECT.rings[ring].line // SUBJECT.bus)
        return Status.OK

    def _compute(self, values: dict[str, int]) -> Status:
        if self.settings is None:
            return Status.UNCONFIGURED
        chosen = SUBJECT.modes[self.settings["mode"]]
        if not 1 <= values["rows"] <= SUBJECT.rows * chosen.x_lanes:
            return Status.ROWS
        if not 1 <= values["columns"] <= SUBJECT.cols * chosen.w_lanes:
            return Status.COLUMNS
        chunks = -(-values["columns"] // SUBJECT.results)
        k = self.settings["k"]
        ends = []
        for ring, (name, needed) in enumerate((("x", k), ("w", k), ("p", chunks))):
            if ring == 2 and self.settings["output"] == 0:
                ends.append(0)
                continue
            end = (values[name] - self.tails[ring]) % LINES[ring] + -(
                -needed // SUBJECT.rings[ring].factor
            )
            if values[name] >= LINES[ring] or end > self.fills[ring]:
                return Status((Status.X, Status.W, Status.P)[ring])
            ends.append(end)
        for ring in range(3):
            if values["free"] >> ring & 1:
                self.tails[ring] = (self.tails[ring] + ends[ring]) % LINES[ring]
                self.fills[ring] -= ends[ring]
        self.result_beats += values["rows"] * chunks
        return Status.OK


class Fuzzer:
    """Random commands, most of whose fields are near the range that the state makes legal."""

    def __init__(self, rng: np.random.Generator):
        # Python's generator is faster than NumPy's at single numbers.
        self._random = random.Random(int(rng.integers(1 << 32)))

    def command(self, state: Reference) -> int:
        draw = self._random
        if draw.random() < 0.03:
            return draw.getrandbits(COMMAND_WIDTH)
        weights = (1 if state.settings else 12, 6, 9, 0.2)
        opcode = draw.choices((1, 2, 3, draw.getrandbits(8)), weights)[0]
        bits = draw.getrandbits(COMMAND_WIDTH) & ~0xFF | opcode
        if opcode not in (1, 2, 3):
            return bits
        for name, (start, width) in FIELDS[Opcode(opcode)].items():
            if draw.random() < 0.02:
                continue
            value = self._likely(name, state) & (1 << width) - 1
            bits = bits & ~(((1 << width) - 1) << start) | value << start
        return bits

    def _likely(self, name: str, state: Reference) -> int:
        draw, settings = self._random, state.settings
        chosen = SUBJECT.modes[settings["mode"] if settings else 0]
        match name:
            case "mode":
                return draw.randrange(3)
            case "output":
                return draw.randrange(4)
            case "k":
                return draw.choice((1, 2, 3, draw.randint(1, 12), draw.randint(1, 65)))
            case "ratio":
                return draw.randint(1, 63)
            case "offset":
                return draw.randrange(64)
            case "ring":
                self._ring = draw.choices((0, 1, 2, 3), (5, 5, 4, 0.1))[0]
                return self._ring
            case "lines":
                ring = self._ring % 3
                room = LINES[ring] - state.fills[ring]
                return draw.choice(
                    (draw.randint(1, max(1, min(6, room))), room, room + draw.randint(-1, 1))
                )
            case "free":
                return draw.getrandbits(8) & (0xFF if draw.random() < 0.5 else draw.getrandbits(8))
            case "rows":
                return draw.randint(1, SUBJECT.rows * chosen.x_lanes)
            case "columns":
                return draw.randint(1, SUBJECT.cols * chosen.w_lanes)
        ring = "xwp".index(name)
        needed = -(-settings["k"] // SUBJECT.rings[ring].factor) if settings and ring < 2 else 1
        room = max(0, state.fills[ring] - needed)
        offset = draw.choice((0, room, draw.randint(0, room), draw.randint(0, room + 1)))
        return (state.tails[ring] + offset) % LINES[ring]
