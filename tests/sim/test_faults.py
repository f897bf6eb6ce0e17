"""The core under faults of its host: resets, long stalls, and random commands."""

import random
from copy import deepcopy
from dataclasses import dataclass, field
from functools import cache

import numpy as np
import pytest

from golden.schedule.backend import golden_backend
from golden.schedule.scheduler import Schedule, schedule
from golden.spec.commands import (
    COMMAND_WIDTH,
    FIELDS,
    Compute,
    Configure,
    Load,
    Opcode,
    Status,
    encode,
)
from hw.gateware.core.core import geometry
from sim import streams
from sim.build import Build, build
from sim.compare import compare
from sim.native.compiled import Model, Traffic
from sim.stalls import Stalls
from tests.support.jobs import config, random_job

pytestmark = pytest.mark.slow

SEED = 20261123
SUBJECT = config(
    "w8a8",
    "w4a4",
    "wpw-a8",
    rows=3,
    cols=2,
    k_max=64,
    x_words=80,
    w_words=72,
    panels=2,
    bus=4,
    results=2,
)
ANSWER = 8
"""Cycles from the offer of a refused command to its status, at most."""


@cache
def built() -> Build:
    return build(SUBJECT)


@cache
def work() -> Schedule:
    """GEMMs of all modes and outputs, whose operands wrap around the rings."""
    rng = np.random.default_rng(SEED)
    jobs = [
        random_job(rng, chosen, shape, requantize=requantize, biased=biased)
        for chosen in SUBJECT.modes
        for shape in ((7, 30, 5), (10, 3, 9))
        for requantize, biased in ((False, False), (False, True), (True, True))
    ]
    return schedule(jobs, geometry(SUBJECT), SUBJECT.index)


def run(model: Model, plan: Schedule, **options: object) -> Traffic:
    return model.run(
        streams.commands(plan), streams.loads(plan), streams.result_transfers(plan), **options
    )


def assert_exact(plan: Schedule, traffic: Traffic) -> None:
    assert traffic.complete
    assert not traffic.statuses.any()
    assert traffic.loads == plan.load_transfers
    found = streams.outputs(plan, streams.values(SUBJECT, traffic.results))
    for job, expected, got in zip(plan.jobs, golden_backend(plan.jobs), found, strict=True):
        comparison = compare(expected, got)
        assert comparison.exact, f"{job.mode.name} {job.shape}: {comparison}"


def words(*commands: Configure | Load | Compute | int) -> np.ndarray:
    """Payloads of commands or of their bits."""
    size = COMMAND_WIDTH // 8
    numbers = [command if isinstance(command, int) else encode(command) for command in commands]
    return np.frombuffer(b"".join(n.to_bytes(size, "little") for n in numbers), np.uint8).reshape(
        -1, size
    )


def noise(rng: np.random.Generator, beats: int) -> np.ndarray:
    return rng.integers(0, 256, (beats, SUBJECT.bus), np.uint8)


def test_a_reset_at_any_cycle_leaves_a_new_core() -> None:
    plan, rng = work(), np.random.default_rng(SEED)
    model = Model(built())
    first = run(model, plan)
    assert_exact(plan, first)
    for cycle in rng.integers(1, first.cycles, 100):
        model.reset()
        stalls = Stalls(*rng.choice([0.0, 0.3], 4), seed=int(cycle))
        broken = run(model, plan, cycles=int(cycle), stalls=stalls)
        assert not broken.complete
        model.reset()
        again = run(model, plan)
        assert_exact(plan, again)
        assert again.cycles == first.cycles, cycle


@pytest.mark.parametrize("stream", ["commands", "loads", "status", "results"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_stream_that_stops_for_long_loses_nothing(stream: str, share: float) -> None:
    plan, model = work(), Model(built())
    start = int(plan.cycles * share)
    traffic = run(model, plan, pauses={stream: (start, start + 10_000)})
    assert_exact(plan, traffic)
    assert traffic.cycles > 10_000
    # Nothing is left over that would come out later.
    after = model.run(words(), noise(np.random.default_rng(1), 4), 1, cycles=500)
    assert (len(after.results), after.loads) == (0, 0)


# Malformed commands, each behind commands that are accepted: what is refused has no effect.

GOOD = Configure(0, 5, 1)
LINES = [ring.lines for ring in SUBJECT.rings]
PANEL = [SUBJECT.x_ring.lines_for(5), SUBJECT.w_ring.lines_for(5), 1]
FILLED = (GOOD, *(Load(ring, lines) for ring, lines in enumerate(PANEL)))
TILE = Compute(0, 0, 0, 3, 2)


def fields(command: Configure | Load | Compute, **changed: int) -> int:
    """Bits of a command with fields changed to any values that fit."""
    bits = encode(command)
    opcode = Opcode(bits & 0xFF)
    for name, value in changed.items():
        start, width = FIELDS[opcode][name]
        assert 0 <= value < 1 << width
        bits = bits & ~(((1 << width) - 1) << start) | value << start
    return bits


def malformed() -> list[tuple[str, tuple, int, Status]]:
    """(name, commands before, the command's bits, its status)."""
    cases = [(f"opcode {n}", (), n | 7 << 32, Status.OPCODE) for n in (0, 4, 5, 127, 128, 129, 255)]
    for name, status, values in (
        ("mode", Status.MODE, (3, 4, 255)),
        ("output", Status.OUTPUT, (4, 5, 255)),
        ("k", Status.K, (0, 65, 128, 65535)),
        ("ratio", Status.RATIO, (0, 64, 255)),
        ("offset", Status.OFFSET, (64, 128, 255)),
    ):
        cases += [
            (f"{name} {value}", (), fields(GOOD, **{name: value}), status) for value in values
        ]
    load = Load(0, 1)
    cases += [(f"ring {value}", (), fields(load, ring=value), Status.RING) for value in (3, 4, 255)]
    for ring, most in enumerate(LINES):
        for lines in (0, most + 1, 1 << 16, (1 << 16) + 1, (1 << 32) - 1):
            cases.append(
                (
                    f"ring {ring}, {lines} lines",
                    (),
                    fields(Load(ring, 1), lines=lines),
                    Status.LINES,
                )
            )
        cases.append(
            (
                f"ring {ring} beyond its room",
                (Load(ring, most),),
                encode(Load(ring, 1)),
                Status.FULL,
            )
        )
        cases.append(
            (f"ring {ring} too full", (Load(ring, 1),), encode(Load(ring, most)), Status.FULL)
        )
    cases.append(("unconfigured", FILLED[1:], encode(TILE), Status.UNCONFIGURED))
    refused = (*FILLED, fields(GOOD, k=0))
    cases.append(("a refused configuration", refused, encode(TILE), Status.UNCONFIGURED))
    for name, status, values in (
        ("rows", Status.ROWS, (0, 4, 6, 65535)),
        ("columns", Status.COLUMNS, (0, 3, 4, 65535)),
        ("x", Status.X, (1, LINES[0] - 1, LINES[0], 65535)),
        ("w", Status.W, (1, LINES[1] - 1, LINES[1], 65535)),
        ("p", Status.P, (1, LINES[2] - 1, LINES[2], 65535)),
    ):
        cases += [
            (f"{name} {value}", FILLED, fields(TILE, **{name: value}), status) for value in values
        ]
    for ring, (name, status) in enumerate((("x", Status.X), ("w", Status.W), ("p", Status.P))):
        without = tuple(command for i, command in enumerate(FILLED) if i != ring + 1)
        cases.append((f"{name} before its load", without, encode(TILE), status))
        freed = (*FILLED, fields(TILE, free=1 << ring))
        cases.append((f"{name} after free", freed, encode(TILE), status))
    short = (GOOD, Load(0, PANEL[0] - 1), *FILLED[2:])
    cases.append(("part of a panel", short, encode(TILE), Status.X))
    return cases


def answers(model: Model, rng: np.random.Generator, commands: tuple) -> None:
    """Run commands, whatever their status, and drop their results."""
    for command in commands:
        traffic = model.run(words(command), noise(rng, 2000), 0)
        assert traffic.complete


@pytest.mark.parametrize(
    ("before", "bits", "status"), [pytest.param(*case[1:], id=case[0]) for case in malformed()]
)
def test_a_malformed_command_is_refused_and_does_nothing(
    before: tuple, bits: int, status: Status
) -> None:
    rng = np.random.default_rng(SEED)
    model = Model(built())
    answers(model, rng, before)
    # What was accepted ends first, so that what the command itself does is seen.
    model.run(words(), noise(rng, 2000), 100, cycles=500)
    traffic = model.run(words(bits), noise(rng, 10), 0, cycles=ANSWER)
    assert traffic.complete
    assert Status(int(traffic.statuses[0])) == status
    silent = model.run(words(), noise(rng, 10), 1, cycles=200)
    assert (len(silent.results), silent.loads) == (0, 0)
    if not before:
        assert_exact(work(), run(model, work()))


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
        # Numbers drawn one by one: a Python generator is faster at that.
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


def test_refused_commands_between_good_ones_change_no_result() -> None:
    """Loads and tiles that the current state does not allow, at random points of a schedule."""
    rng, plan = np.random.default_rng(SEED), work()
    fuzzer, state = Fuzzer(rng), Reference()
    commands: list[int] = []
    expected: list[int] = []
    for command in plan.commands:
        while rng.random() < 0.5:
            bits = fuzzer.command(state)
            # A refused configuration would be another matter: it takes the settings with it.
            if bits & 0xFF == Opcode.CONFIGURE:
                continue
            status = deepcopy(state).answer(bits)
            if status != Status.OK:
                commands.append(bits)
                expected.append(status)
        commands.append(encode(command))
        expected.append(state.answer(commands[-1]))
    assert state.fills == [0, 0, 0]
    assert len(set(expected)) >= 9
    traffic = Model(built()).run(
        words(*commands), streams.loads(plan), streams.result_transfers(plan)
    )
    assert traffic.statuses.tolist() == expected
    assert traffic.complete
    found = streams.outputs(plan, streams.values(SUBJECT, traffic.results))
    for y, got in zip(golden_backend(plan.jobs), found, strict=True):
        assert compare(y, got).exact


SEQUENCES, LENGTH = 10_000, 24


def test_random_commands_are_answered_by_the_contract() -> None:
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    fuzzer, model = Fuzzer(rng), Model(built())
    data = noise(rng, LENGTH * 400)
    seen, results = dict.fromkeys(Status, 0), 0
    for number in range(SEQUENCES):
        state = Reference()
        commands, expected = [], []
        for _ in range(LENGTH):
            commands.append(fuzzer.command(state))
            expected.append(state.answer(commands[-1]))
            seen[expected[-1]] += 1
        results += state.result_beats
        model.reset()
        stalls = Stalls(*rng.choice([0.0, 0.5], 4), seed=number) if number % 4 == 0 else None
        traffic = model.run(words(*commands), data, state.result_beats, stalls=stalls, patience=400)
        assert traffic.statuses.tolist() == expected, (
            number,
            [hex(command) for command in commands],
        )
        assert traffic.complete, (number, [hex(command) for command in commands])
        if number % 50 == 0:
            # The loads behind the last tile end too; no result comes that nobody asked for.
            rest = model.run(words(), data, 1, cycles=1000)
            assert traffic.loads + rest.loads == state.load_transfers
            assert len(rest.results) == 0
    print({status.name: count for status, count in seen.items()}, results)
    assert min(seen.values()) > 100
    assert seen[Status.OK] > SEQUENCES * LENGTH // 3
    assert results > SEQUENCES
