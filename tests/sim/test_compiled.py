"""Structures of the C++ library against Python's, and the error for a library with others."""

import re
import subprocess
from pathlib import Path

import pytest

from hw.verilog.design import Design
from sim.build import Build
from sim.compilation import LIBRARY, NATIVE
from sim.errors import ToolError
from sim.native.compiled import Model, layout
from tests.support.jobs import config

HARNESS = (NATIVE / "compiled.cpp").read_text()

STREAMS = """
#pragma once
#include <cstdint>
struct VerilatedContext {};
struct Vtop {
    Vtop(VerilatedContext*) {}
    void eval() {}
    uint8_t clk, rst;
    uint8_t commands___05Fvalid, commands___05Fready, commands___05Fpayload[12];
    uint8_t loads___05Fvalid, loads___05Fready, loads___05Fpayload[8];
    uint8_t status___05Fvalid, status___05Fready, status___05Fpayload;
    uint8_t results___05Fvalid, results___05Fready, results___05Fpayload[8];
};
"""
"""Ports of a core, in place of Verilator's model."""


def library(folder: Path, text: str) -> Build:
    """A build whose library is compiled from a harness alone, without a core."""
    for name in ("Vtop.h", "verilated.h"):
        (folder / name).write_text(STREAMS)
    (folder / "harness.cpp").write_text(text)
    command = ["g++", "-std=c++20", "-shared", "-fPIC", "-o", LIBRARY, "harness.cpp"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return Build(
        config("w8a8", rows=2, cols=2), Design("top", "", (), ()), "verilator", folder, 0.0
    )


def test_the_library_has_the_structure_that_python_passes(tmp_path: Path) -> None:
    Model(library(tmp_path, HARNESS))
    assert re.fullmatch(r"commands:0:8 loads:8:8 (\w+:\d+:\d+ )+load_offered:\d+:8 \d+", layout())


FIRST = "commands:0:8"

CHANGES = {
    "narrower": ({"(int64_t, idle)": "(int32_t, idle)"}, "idle:144:8", "idle:144:4"),
    "one more": (
        {"(int64_t, period)": "(int64_t, period) FIELD(char, x)"},
        "pause_from:168:32",
        "x:168:1",
    ),
    "one less": (
        {"FIELD(int64_t, load_offered)": "", "s.load_offered": "s.command_offered"},
        "load_offered:240:8",
        "240",
    ),
    "in another order": (
        {
            "(int64_t, first)": "(int64_t, ?)",
            "(int64_t, last)": "(int64_t, first)",
            "(int64_t, ?)": "(int64_t, last)",
        },
        "first:128:8",
        "last:128:8",
    ),
    "without a word": ({"core_layout() {": "core_form() {"}, FIRST, "none"),
}
"""Replacements in the harness; the first field that then differs, and its description."""


@pytest.mark.parametrize("change", CHANGES)
def test_a_library_with_another_structure_is_refused(change: str, tmp_path: Path) -> None:
    replaced, expected, got = CHANGES[change]
    text = HARNESS
    for old, new in replaced.items():
        assert old in text
        text = text.replace(old, new)
    message = (
        f"{tmp_path / LIBRARY}: expected the streams of sim/native/compiled.py with {expected} "
        f"(name:offset:size), got {got}; remove {tmp_path}"
    )
    with pytest.raises(ToolError, match=f"^{re.escape(message)}$"):
        Model(library(tmp_path, text))
