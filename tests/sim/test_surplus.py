"""Surplus results: every way to run a core detects them."""

import numpy as np
import pytest
from amaranth import Module, Signal

from golden.schedule.job import Job
from golden.spec.modes import mode
from hw.gateware.core.core import Core
from hw.verilog.design import generate
from sim.backend import RtlBackend
from sim.build import Build, build
from sim.errors import ToolError
from sim.simulation import simulate
from tests.support.jobs import config, random_job

pytestmark = pytest.mark.slow

QUIET = 40
"""Cycles after the last result before the faulty core repeats it."""


def repeat_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Offer results again when none has left the core for QUIET cycles."""
    original = Core.elaborate

    def elaborate(self: Core, platform: object) -> Module:
        m = original(self, platform)
        quiet, owed = Signal(range(QUIET + 1)), Signal()
        with m.If(self.results.valid & self.results.ready):
            m.d.sync += [quiet.eq(0), owed.eq(quiet != QUIET)]
        with m.Elif(quiet != QUIET):
            m.d.sync += quiet.eq(quiet + 1)
        with m.If(owed & (quiet == QUIET)):
            m.d.comb += self.results.valid.eq(1)
        return m

    monkeypatch.setattr(Core, "elaborate", elaborate)
    monkeypatch.setattr(
        "sim.build.kept_design",
        lambda config, flat, kept: generate("core", config, flat=flat, kept=kept),
    )


def job() -> Job:
    """One tile, whose results are complete before one is repeated."""
    return random_job(np.random.default_rng(1), mode("w8a8"), (2, 4, 2), requantize=False)


def on_backend(built: Build) -> None:
    RtlBackend(built)([job()])


def on_simulation(built: Build) -> None:
    simulate(built, [[job()]])


@pytest.mark.parametrize(
    ("simulator", "run"),
    [("verilator", on_backend), ("verilator", on_simulation), ("cocotb", on_simulation)],
)
def test_results_too_many_are_found(
    simulator: str, run: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    subject = config("w8a8", rows=2, cols=2, k_max=64)
    run(build(subject, simulator))
    repeat_the_last(monkeypatch)
    with pytest.raises(
        ToolError, match=f"^{simulator}: the core delivers more than was asked for$"
    ):
        run(build(subject, simulator))
