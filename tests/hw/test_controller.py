"""The controller answers commands, and queues loads and tiles, as the contract says."""

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from golden.spec.commands import COMMAND_WIDTH, FIELDS, Opcode, Status
from golden.spec.modes import mode
from hw.config import Config
from hw.gateware.core.command import StatusCode, command_layout
from hw.gateware.core.controller import Controller
from hw.gateware.core.operand_buffer import sequence_width
from tests.support.rtl import PHASES, Stalls, receiver, sender, simulate

CONFIG = Config(
    modes=(mode("w8a8"), mode("w4a4")),
    rows=2,
    cols=3,
    k_max=9,
    bus=8,
    x_words=24,
    w_words=12,
    panels=3,
    results=2,
)
LINES = [ring.lines for ring in CONFIG.rings]


@dataclass
class Reference:
    """Statuses, loads and tiles of a sequence of commands, in plain Python."""

    tails: list[int] = field(default_factory=lambda: [0, 0, 0])
    fills: list[int] = field(default_factory=lambda: [0, 0, 0])
    freed: list[int] = field(default_factory=lambda: [0, 0, 0])
    settings: dict[str, int] | None = None
    loads: list[dict[str, int]] = field(default_factory=list)
    tiles: list[dict[str, Any]] = field(default_factory=list)

    def answer(self, bits: int) -> Status:
        if bits & 0xFF not in list(Opcode):
            return Status.OPCODE
        opcode = Opcode(bits & 0xFF)
        values = {
            name: bits >> start & (1 << width) - 1
            for name, (start, width) in FIELDS[opcode].items()
        }
        return getattr(self, opcode.name.lower())(**values)

    def configure(self, **values: int) -> Status:
        self.settings = None
        checks = (
            (values["mode"] < len(CONFIG.modes), Status.MODE),
            (values["output"] < 4, Status.OUTPUT),
            (1 <= values["k"] <= CONFIG.k_max, Status.K),
            (1 <= values["ratio"] <= 63, Status.RATIO),
            (values["offset"] <= 63, Status.OFFSET),
        )
        for good, status in checks:
            if not good:
                return status
        self.settings = values
        return Status.OK

    def load(self, ring: int, lines: int) -> Status:
        if ring > 2:
            return Status.RING
        if not 1 <= lines <= LINES[ring]:
            return Status.LINES
        if self.fills[ring] + lines > LINES[ring]:
            return Status.FULL
        self.fills[ring] += lines
        self.loads.append({"ring": ring, "lines": lines - 1})
        return Status.OK

    def compute(self, rows: int, columns: int, free: int, **lines: int) -> Status:
        if self.settings is None:
            return Status.UNCONFIGURED
        chosen = CONFIG.modes[self.settings["mode"]]
        if not 1 <= rows <= CONFIG.rows * chosen.x_lanes:
            return Status.ROWS
        if not 1 <= columns <= CONFIG.cols * chosen.w_lanes:
            return Status.COLUMNS
        chunks = -(-columns // CONFIG.results)
        k, ends = self.settings["k"], []
        for i, (name, words) in enumerate((("x", k), ("w", k), ("p", chunks))):
            unused = name == "p" and self.settings["output"] == 0
            begin = (lines[name] - self.tails[i]) % LINES[i]
            end = 0 if unused else begin + CONFIG.rings[i].lines_for(words)
            if not unused and (lines[name] >= LINES[i] or end > self.fills[i]):
                return (Status.X, Status.W, Status.P)[i]
            ends.append(end)
        tile = {name: self.settings[name] for name in ("mode", "output", "ratio", "offset")}
        tile |= {"depth": k - 1, "rows": rows - 1, "chunks": chunks - 1}
        tile["columns"] = (columns - 1) % CONFIG.results
        for i, name in enumerate("xwp"):
            width = sequence_width(CONFIG.rings[i])
            frees = ends[i] if free >> i & 1 else 0
            needs = (self.freed[i] + ends[i]) % (1 << width)
            unused = name == "p" and self.settings["output"] == 0
            tile[name] = {"needs": needs, "frees": frees}
            if not unused:
                tile[name]["line"] = lines[name]
            self.tails[i] = (self.tails[i] + frees) % LINES[i]
            self.fills[i] -= frees
            self.freed[i] += frees
        self.tiles.append(tile)
        return Status.OK


def command(opcode: Opcode, **values: int) -> int:
    bits = int(opcode)
    for name, value in values.items():
        start, width = FIELDS[opcode][name]
        bits |= (value & (1 << width) - 1) << start
    return bits


def numbers(most: int) -> st.SearchStrategy[int]:
    """Mostly 0 to `most` + 1, at times anything of 16 bits."""
    return st.integers(0, most) | st.integers(0, most + 1) | st.integers(0, 0xFFFF)


LINE = st.integers(0, max(LINES))
COMMANDS = st.one_of(
    st.builds(
        command,
        st.just(Opcode.CONFIGURE),
        mode=st.integers(0, 2),
        output=st.integers(0, 4),
        k=st.integers(0, CONFIG.k_max + 1),
        ratio=st.integers(0, 64),
        offset=st.integers(0, 64),
    ),
    st.builds(
        command,
        st.just(Opcode.CONFIGURE),
        mode=st.integers(0, 1),
        output=st.integers(0, 3),
        k=st.integers(1, CONFIG.k_max),
        ratio=st.integers(1, 63),
        offset=st.integers(0, 63),
    ),
    st.builds(command, st.just(Opcode.LOAD), ring=st.integers(0, 3), lines=numbers(max(LINES))),
    st.builds(command, st.just(Opcode.LOAD), ring=st.integers(0, 2), lines=st.integers(1, 4)),
    *[
        st.builds(
            command,
            st.just(Opcode.COMPUTE),
            x=LINE,
            w=LINE,
            p=LINE,
            rows=st.integers(1, 4) | numbers(4),
            columns=st.integers(1, 6) | numbers(6),
            free=st.integers(0, 7),
        )
    ]
    * 2,
    st.integers(0, (1 << COMMAND_WIDTH) - 1),
)
FIRST = [
    command(Opcode.CONFIGURE, mode=1, output=2, k=5, ratio=1),
    *(command(Opcode.LOAD, ring=ring, lines=lines) for ring, lines in enumerate(LINES)),
    command(Opcode.COMPUTE, x=0, w=0, p=0, rows=4, columns=5, free=7),
    command(Opcode.COMPUTE, x=2, w=3, p=2, rows=1, columns=1),
]
"""Commands that fill the buffers and start a tile, so that Hypothesis begins with accepted ones."""


@given(
    commands=st.lists(COMMANDS, min_size=20, max_size=60),
    share=st.sampled_from([0.0, 0.5]),
    seed=st.integers(0, 99),
)
@settings(max_examples=25, deadline=None, phases=PHASES)
def test_commands_are_answered_by_the_contract(
    commands: list[int], share: float, seed: int
) -> None:
    commands, state = FIRST + commands, Reference()
    expected = [state.answer(bits) for bits in commands]
    statuses: list[int] = []
    loads: list[Any] = []
    tiles: list[Any] = []
    controller = Controller(CONFIG)
    simulate(
        controller,
        sender(controller.commands, commands, Stalls(share, seed)),
        receiver(controller.status, len(commands), Stalls(share, seed + 1), statuses),
        receiver(controller.loads, len(state.loads), Stalls(share, seed + 2), loads),
        receiver(controller.tiles, len(state.tiles), Stalls(share, seed + 3), tiles),
    )
    assert [Status(status) for status in statuses] == expected
    assert [{"ring": load.ring, "lines": load.lines} for load in loads] == state.loads
    for tile, wanted in zip(tiles, state.tiles, strict=True):
        for name, value in wanted.items():
            found = tile[name]
            if isinstance(value, dict):
                assert {key: found[key] for key in value} == value, name
            else:
                assert found == value, name


def test_the_first_commands_are_accepted() -> None:
    state = Reference()
    assert {state.answer(bits) for bits in FIRST[:-1]} == {Status.OK}


def test_a_command_every_six_cycles() -> None:
    controller = Controller(CONFIG)
    cycles: list[int] = []

    async def bench(ctx: Any) -> None:
        ctx.set(controller.commands.valid, 1)
        ctx.set(controller.status.ready, 1)
        for cycle in range(61):
            if (await ctx.tick().sample(controller.status.valid))[-1]:
                cycles.append(cycle)

    simulate(controller, bench)
    assert cycles == list(range(5, 61, 6))


@pytest.mark.parametrize("opcode", Opcode)
def test_layouts_are_those_of_the_fields(opcode: Opcode) -> None:
    layout = command_layout(opcode)
    assert layout.size == COMMAND_WIDTH
    found = {name: (layout[name].offset, layout[name].width) for name in FIELDS[opcode]}
    assert found == FIELDS[opcode]


def test_status_codes_are_those_of_golden() -> None:
    assert {code.name: code.value for code in StatusCode} == {s.name: s.value for s in Status}
