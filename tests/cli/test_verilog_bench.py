"""The bench that `tilebert verilog --bench` writes: it passes on the core, and finds faults."""

import re
from pathlib import Path

import pytest

from tests.support.delivered import written
from tests.support.simulators import SIMULATORS, run

BENCHES = {
    "generic": ("w8a8", "w4a4"),
    "ecp5": ("w8a8", "w4a4"),
    "xc7": ("w8a8", "w4a4"),
}


def bench(files: dict[str, str], simulator: str, folder: Path) -> str:
    """What the delivered bench says, the very files."""
    top = "module bench;\n  core_bench tests ();\nendmodule\n"
    sources = {name: text for name, text in files.items() if name.endswith((".sv", ".v"))}
    return run(sources | {"top.v": top}, simulator, folder)


@pytest.mark.slow
@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize("target", BENCHES)
def test_the_bench_passes(target: str, simulator: str, tmp_path: Path) -> None:
    options = ["--target", target, "--rows", "2", "--cols", "2", "--bench"]
    manifest, files = written(tmp_path / "rtl", *options, names=BENCHES[target])
    assert set(manifest["files"]) >= {"core.sv", "core_bench.v"}
    assert (f"{target}_models.v" in files) == (target != "generic")
    said = bench(files, simulator, tmp_path)
    assert "PASS: 60 words of results equal golden's" in said
    assert "FAIL" not in said


@pytest.mark.slow
@pytest.mark.parametrize("simulator", SIMULATORS)
@pytest.mark.parametrize(
    "change", ["a result", "a missing bit", "a status", "silence", "the split"]
)
def test_the_bench_fails(change: str, simulator: str, tmp_path: Path) -> None:
    _, files = written(
        tmp_path / "rtl", "--rows", "2", "--cols", "2", "--bench", names=("w8a8", "wpw-a8")
    )
    core, checks = files["core.sv"], files["core_bench.v"]
    match change:
        case "a result":
            checks = re.sub(
                r"results\[3\] = (\d+)'h(\w+)",
                lambda m: f"results[3] = {m[1]}'h{int(m[2], 16) ^ 1:x}",
                checks,
            )
        case "a missing bit":
            core, count = re.subn(
                r"(assign \w+ = first_0 \? 27'h0000000 : acc_0);", r"\1 & ~27'h4;", core
            )
            assert count == 1
        case "the split":
            # Of all codes -64 alone is decoded wrong.
            core, count = re.subn(r"(assign \w+ = code\[7\]) & (\w+;)", r"\1 | \2", core)
            assert count == 1
        case "a status":
            checks = re.sub(r"commands\[0\] = 96'h\w+", "commands[0] = 96'h63", checks)
        case "silence":
            checks = checks.replace(".results__ready(results_ready)", ".results__ready(1'b0)")
    said = bench(files | {"core.sv": core, "core_bench.v": checks}, simulator, tmp_path)
    assert "FAIL: " in said
    assert "PASS" not in said
