"""Compilation of a model by g++."""

from pathlib import Path

import pytest

from sim.errors import ToolError
from sim.native import compiler

FAILING = """#!/bin/sh
echo begun >> "$BEGUN"
exit 1
"""


def test_after_a_failure_no_other_compiler_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "g++").write_text(FAILING)
    (tmp_path / "g++").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("BEGUN", str(tmp_path / "begun"))
    monkeypatch.setenv("VERILATOR_ROOT", str(tmp_path))
    monkeypatch.setenv("TILEBERT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    folder = tmp_path / "model"
    folder.mkdir()
    with pytest.raises(ToolError, match="the build failed: g\\+\\+ ends with 1"):
        compiler.compile_model(folder, [], "out", runtime=compiler.RUNTIME, link=[], key="tools")
    assert (tmp_path / "begun").read_text() == "begun\n"
