"""Mutation tests: deliberate faults in the hardware are detected and located."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from amaranth import Module, Signal, Value

from hw.gateware.array import accumulator
from hw.gateware.array.array import Array
from hw.gateware.array.pe import PE
from hw.gateware.core.feeder import Feeder
from hw.gateware.output import reader
from hw.gateware.output.requantizer import Requantizer
from hw.verilog.design import generate
from scripts.cli import run

pytestmark = pytest.mark.slow


def drop_carry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Packed products without the carry from lower bits."""
    original = PE._addends

    def addends(self: PE, *arguments: Value) -> list[list[tuple[Value, Value]]]:
        return [
            [(addend, Value.cast(0)) for addend, _ in lanes] for lanes in original(self, *arguments)
        ]

    monkeypatch.setattr(PE, "_addends", addends)


def skew_too_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last row and column are one cycle late."""
    monkeypatch.setattr(Array, "_skew", lambda self, index: index + (index == 1))


def keep_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A new tile continues the previous tile's sum."""
    monkeypatch.setattr(accumulator, "_restarted", lambda first, total: total)


def round_down(monkeypatch: pytest.MonkeyPatch) -> None:
    """The requantizer truncates instead of rounding."""
    monkeypatch.setattr(Requantizer, "_rounded", lambda self, doubled: doubled >> 1)


def give_up_too_little(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reader advances one row too few: the next tile begins with the last row of this one."""
    original = reader._next
    monkeypatch.setattr(
        reader, "_next", lambda address, step, depth: original(address, step - (step > 1), depth)
    )


def read_a_word_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every k reads the previous word."""
    original = Feeder._address

    def address(self: Feeder, m: Module, *arguments: Any) -> Signal:
        right = original(self, m, *arguments)
        late = Signal.like(right)
        m.d.sync += late.eq(right)
        return late

    monkeypatch.setattr(Feeder, "_address", address)


MUTANTS = {
    "a dropped carry": (drop_carry, "w4a4"),
    "an off-by-one in the skew": (skew_too_much, "w8a8"),
    "a stale accumulator": (keep_sum, "w8a8"),
    "a wrong rounding": (round_down, "w8a8"),
    "an off-by-one in the reader": (give_up_too_little, "w8a8"),
    "a ring read a word late": (read_a_word_late, "w8a8"),
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_broken_hardware_is_caught(
    mutant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    damage, mode = MUTANTS[mutant]
    rng = np.random.default_rng(1)
    limit = 7 if mode == "w4a4" else 127
    np.save(tmp_path / "x.npy", rng.integers(-limit, limit + 1, (6, 5)).astype(np.int8))
    np.save(tmp_path / "w.npy", rng.integers(-limit, limit + 1, (5, 7)).astype(np.int8))
    np.save(tmp_path / "mult.npy", np.full(7, 2**14))
    np.save(tmp_path / "shift.npy", np.full(7, 22 if mode == "w8a8" else 15))
    arguments = ["gemm", "--mode", mode, "--rows", "2", "--cols", "2", "--backend", "rtl"]
    for name in ("x", "w", "mult", "shift"):
        arguments += [f"--{name}", str(tmp_path / f"{name}.npy")]

    damage(monkeypatch)
    # Bypass the cache, which has the design without the fault.
    monkeypatch.setattr(
        "sim.build.kept_design",
        lambda config, flat, kept: generate("core", config, flat=flat, kept=kept),
    )
    output = tmp_path / "y.npy"
    assert run([*arguments, "-o", str(output)]) == 1
    err = capfd.readouterr().err
    found = re.search(
        r"^tilebert: gemm: \d+ of 42 results differ, "
        r"first at \[(\d), (\d)\]: golden (-?\d+), rtl (-?\d+)$",
        err,
        re.M,
    )
    assert found, err
    assert not output.exists()

    golden = tmp_path / "golden.npy"
    arguments[arguments.index("rtl")] = "golden"
    assert run([*arguments, "-o", str(golden)]) == 0
    row, column, expected, got = map(int, found.groups())
    assert np.load(golden)[row, column] == expected != got
