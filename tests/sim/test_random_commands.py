"""Random commands: every status and every effect follows the contract."""

from copy import deepcopy

import numpy as np
import pytest

from golden.schedule.backend import golden_backend
from golden.spec.commands import (
    Opcode,
    Status,
    encode,
)
from sim import streams
from sim.compare import compare
from sim.native.compiled import Model
from sim.stalls import Stalls
from tests.support.contract import Fuzzer, Reference
from tests.support.host import SEED, SUBJECT, built, noise, words, work

pytestmark = pytest.mark.slow


def test_refused_commands_between_good_ones_change_no_result() -> None:
    """Loads and tiles that the current state does not allow, at random points of a schedule."""
    rng, plan = np.random.default_rng(SEED), work()
    fuzzer, state = Fuzzer(rng), Reference()
    commands: list[int] = []
    expected: list[int] = []
    for command in plan.commands:
        while rng.random() < 0.5:
            bits = fuzzer.command(state)
            # A refused CONFIGURE has an effect: it invalidates the settings.
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
            # Loads after the last tile finish too, and no surplus result appears.
            rest = model.run(words(), data, 1, cycles=1000)
            assert traffic.loads + rest.loads == state.load_transfers
            assert len(rest.results) == 0
    print({status.name: count for status, count in seen.items()}, results)
    assert min(seen.values()) > 100
    assert seen[Status.OK] > SEQUENCES * LENGTH // 3
    assert results > SEQUENCES
