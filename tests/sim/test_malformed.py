"""Malformed commands: each is refused with its status and has no effect."""

import numpy as np
import pytest

from golden.spec.commands import (
    FIELDS,
    Compute,
    Configure,
    Load,
    Opcode,
    Status,
    encode,
)
from sim.native.compiled import Model
from tests.support.host import LINES, SEED, SUBJECT, assert_exact, built, noise, run, words, work

pytestmark = pytest.mark.slow

ANSWER = 8
"""Cycles from the offer of a refused command to its status, at most."""


GOOD = Configure(0, 5, 1)


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
    # Let the accepted commands finish, so that later transfers come from this command only.
    model.run(words(), noise(rng, 2000), 100, cycles=500)
    traffic = model.run(words(bits), noise(rng, 10), 0, cycles=ANSWER)
    assert traffic.complete
    assert Status(int(traffic.statuses[0])) == status
    silent = model.run(words(), noise(rng, 10), 1, cycles=200)
    assert (len(silent.results), silent.loads) == (0, 0)
    if not before:
        assert_exact(work(), run(model, work()))
