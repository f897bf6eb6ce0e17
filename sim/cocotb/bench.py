"""cocotb test that drives a core's streams; `sim.simulation` starts it in the simulator.

It reads commands.npy, loads.npy, pauses.npy and plan.json in the current folder and writes
results.npy, statuses.npy and cycles.json. A cycle is equal to one in compiled.cpp, step by step.
"""

import json
import time
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from hw.tools.lifeline import end_with_parent
from sim.stalls import STREAMS

PROGRESS_CYCLES = 4096
"""Cycles between two progress reports."""


class Stream:
    """One stream of the core: `moved` payloads so far, of `end`; it stalls where `pauses` is 1."""

    def __init__(self, dut: Any, name: str, pauses: np.ndarray):
        self._payload = getattr(dut, f"{name}__payload")
        self._valid = getattr(dut, f"{name}__valid")
        self._ready = getattr(dut, f"{name}__ready")
        self._pauses = pauses.tolist()
        self.moved = self.end = 0

    def _paused(self, cycle: int) -> bool:
        return bool(self._pauses[cycle % len(self._pauses)])


class Source(Stream):
    """Driver of an input stream with payloads [count, bytes]."""

    def __init__(self, dut: Any, name: str, pauses: np.ndarray, payloads: np.ndarray):
        super().__init__(dut, name, pauses)
        self._bytes = payloads.tobytes()
        self._size = payloads.shape[1]
        self._offered = False

    def step(self, cycle: int) -> bool:
        """Offer a payload at the next clock edge; return whether it is transferred."""
        if not self._offered and self.moved < self.end and not self._paused(cycle):
            start = self.moved * self._size
            self._payload.value = int.from_bytes(self._bytes[start : start + self._size], "little")
            self._offered = True
        self._valid.value = self._offered
        # Ready depends on registers only, so its value now is its value at the next edge.
        if not (self._offered and bool(self._ready.value)):
            return False
        self._offered = False
        self.moved += 1
        return True


class Sink(Stream):
    """Receiver of an output stream."""

    def __init__(self, dut: Any, name: str, pauses: np.ndarray):
        super().__init__(dut, name, pauses)
        self._size = -(-len(self._payload) // 8)
        self._payloads: list[bytes] = []

    @property
    def offers(self) -> bool:
        """Whether the core's valid is 1."""
        return bool(self._valid.value)

    def step(self, cycle: int) -> bool:
        """Set ready for the next clock edge; return whether a payload is transferred."""
        ready = self.moved < self.end and not self._paused(cycle)
        self._ready.value = ready
        if not (ready and self.offers):
            return False
        self._payloads.append(int(self._payload.value).to_bytes(self._size, "little"))
        self.moved += 1
        return True

    def array(self) -> np.ndarray:
        """All received payloads, uint8 [count, bytes]."""
        return np.frombuffer(b"".join(self._payloads), np.uint8).reshape(-1, self._size)


@cocotb.test()
async def stream(dut: Any) -> None:
    """Drive group after group; each starts when the one before is answered and delivered."""
    # The simulator ends with the program that started it, even if that is killed.
    end_with_parent()
    plan = json.loads(Path("plan.json").read_text())
    pauses = dict(zip(STREAMS, np.load("pauses.npy"), strict=True))
    commands = Source(dut, "commands", pauses["commands"], np.load("commands.npy"))
    loads = Source(dut, "loads", pauses["loads"], np.load("loads.npy"))
    statuses = Sink(dut, "status", pauses["status"])
    results = Sink(dut, "results", pauses["results"])
    all_streams = (commands, loads, statuses, results)

    for stream_in in (dut.commands__payload, dut.loads__payload):
        # Icarus starts with X, which would propagate even through a multiplication by zero.
        stream_in.value = 0
    for name in ("commands__valid", "loads__valid", "status__ready", "results__ready"):
        getattr(dut, name).value = 0
    dut.rst.value = 1
    Clock(dut.clk, 10, unit="ns").start()
    edge = FallingEdge(dut.clk)
    for _ in range(3):
        await edge
    dut.rst.value = 0

    total = sum(group["results"] for group in plan["groups"])
    simulated, records = 0, []
    for group in plan["groups"]:
        for name, each in zip(STREAMS, all_streams, strict=True):
            each.end += group[name]
        cycle, idle, first, last = 0, 0, -1, -1
        start = time.perf_counter()
        while statuses.moved < statuses.end or results.moved < results.end:
            taken, *others, delivered = [each.step(cycle) for each in all_streams]
            if taken and first < 0:
                first = cycle
            if delivered:
                last = cycle
            idle = 0 if taken or delivered or any(others) else idle + 1
            if idle > plan["patience"]:
                raise AssertionError(
                    f"no transfer in {idle} cycles; {results.moved} of {total} result transfers"
                )
            cycle += 1
            simulated += 1
            if simulated % PROGRESS_CYCLES == 0:
                Path("progress").write_text(str(results.moved))
            await edge
        record = {
            "cycles": last - first + 1,
            "seconds": time.perf_counter() - start,
            "surplus": False,
        }
        records.append(record)
        # Surplus results are an error too: wait for them.
        for name in ("commands__valid", "loads__valid", "status__ready", "results__ready"):
            getattr(dut, name).value = 0
        for _ in range(plan["settling"]):
            await edge
            record["surplus"] = record["surplus"] or statuses.offers or results.offers
        if record["surplus"]:
            break
    np.save("results.npy", results.array())
    np.save("statuses.npy", statuses.array())
    Path("cycles.json").write_text(json.dumps(records))
