"""A host of a simulated core: command and load streams, and a schedule of all modes."""

from functools import cache

import numpy as np

from golden.schedule.backend import golden_backend
from golden.schedule.scheduler import Schedule, schedule
from golden.spec.commands import (
    COMMAND_WIDTH,
    Compute,
    Configure,
    Load,
    encode,
)
from hw.gateware.core.core import geometry
from sim import streams
from sim.build import Build, build
from sim.compare import compare
from sim.native.compiled import Model, Traffic
from tests.support.jobs import config, random_job

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


LINES = [ring.lines for ring in SUBJECT.rings]


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
