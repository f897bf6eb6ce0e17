"""The cocotb test that streams payloads through a core. It runs inside the simulator; `sim.simulation` starts it.

Reads commands.npy, loads.npy and plan.json in the current folder; writes results.npy, statuses.npy and cycles.json.
"""

import json
import random
import time
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

PROGRESS_CYCLES = 4096


class Source:
    """Drives one input stream from payloads [count, bytes], leaving it idle at random."""

    def __init__(self, dut: Any, name: str, payloads: np.ndarray, stall: float, random: random.Random):
        self._payload = getattr(dut, f"{name}__payload")
        self._valid = getattr(dut, f"{name}__valid")
        self._ready = getattr(dut, f"{name}__ready")
        self._bytes = payloads.tobytes()
        self._size = payloads.shape[1]
        self._stall, self._random = stall, random
        self._next = self._stop = 0
        self._offered = False
        self.sent = 0

    def release(self, count: int) -> None:
        """Allow `count` more payloads to be sent."""
        self._stop += count

    def step(self) -> bool:
        """Offer a payload for the next clock edge; returns whether that edge transfers it."""
        if not self._offered and self._next < self._stop and self._random.random() >= self._stall:
            start = self._next * self._size
            self._payload.value = int.from_bytes(self._bytes[start : start + self._size], "little")
            self._valid.value = 1
            self._next += 1
            self._offered = True
        elif not self._offered:
            self._valid.value = 0
        # Ready depends on registers alone, so what it is now holds at the next edge.
        taken = self._offered and bool(self._ready.value)
        if taken:
            self._offered = False
            self.sent += 1
        return taken


class Sink:
    """Takes what an output stream offers, refusing at random."""

    def __init__(self, dut: Any, name: str, stall: float, random: random.Random):
        self._payload = getattr(dut, f"{name}__payload")
        self._valid = getattr(dut, f"{name}__valid")
        self._ready = getattr(dut, f"{name}__ready")
        self._size = -(-len(self._payload) // 8)
        self._stall, self._random = stall, random
        self.payloads: list[bytes] = []

    def step(self) -> bool:
        """Be ready, or not, at the next clock edge; returns whether that edge transfers a payload."""
        ready = self._random.random() >= self._stall
        self._ready.value = ready
        if not (ready and bool(self._valid.value)):
            return False
        self.payloads.append(int(self._payload.value).to_bytes(self._size, "little"))
        return True

    def array(self) -> np.ndarray:
        """All payloads taken, [count, bytes]."""
        return np.frombuffer(b"".join(self.payloads), np.uint8).reshape(-1, self._size)


@cocotb.test()
async def stream(dut: Any) -> None:
    """Stream group after group; each starts when all results of the one before are out."""
    plan = json.loads(Path("plan.json").read_text())
    source = random.Random(plan["seed"])
    stalls = plan["stalls"]
    commands = Source(dut, "commands", np.load("commands.npy"), stalls["commands"], source)
    loads = Source(dut, "loads", np.load("loads.npy"), stalls["loads"], source)
    statuses = Sink(dut, "status", stalls["status"], source)
    results = Sink(dut, "results", stalls["results"], source)

    for stream_in in (dut.commands__payload, dut.loads__payload):
        # Icarus starts with X, which a multiplication by zero would keep.
        stream_in.value = 0
    for name in ("commands__valid", "loads__valid", "status__ready", "results__ready"):
        getattr(dut, name).value = 0
    dut.rst.value = 1
    Clock(dut.clk, 10, unit="ns").start()
    edge = FallingEdge(dut.clk)
    for _ in range(3):
        await edge
    dut.rst.value = 0
    await edge

    total = sum(group["results"] for group in plan["groups"])
    cycle, received, records = 0, 0, []
    for group in plan["groups"]:
        commands.release(group["commands"])
        loads.release(group["loads"])
        end, idle, first = received + group["results"], 0, -1
        start = time.perf_counter()
        while received < end:
            taken = commands.step()
            moved = loads.step()
            statuses.step()
            delivered = results.step()
            if taken and first < 0:
                first = cycle
            received += delivered
            idle = 0 if taken or moved or delivered else idle + 1
            if idle > plan["patience"]:
                raise AssertionError(f"no transfer in {idle} cycles; {received} of {total} result beats")
            cycle += 1
            if cycle % PROGRESS_CYCLES == 0:
                Path("progress").write_text(str(received))
            await edge
        records.append({"cycles": cycle - first, "seconds": time.perf_counter() - start})
    # A core that delivers more than it should is as wrong as one that delivers less.
    for _ in range(plan["afterwards"]):
        results.step()
        statuses.step()
        await edge
    np.save("results.npy", results.array())
    np.save("statuses.npy", statuses.array())
    Path("cycles.json").write_text(json.dumps(records))
