"""`tilebert verilog`: one text that tools accept as it is, and the files beside it."""

import hashlib
import re
import subprocess
from pathlib import Path

import pyslang
import pytest

from golden.spec.modes import MODE_NAMES
from hw.buildspec import BuildSpec
from hw.tools.yosys import run_yosys
from hw.verilog.design import UNITS, generate
from scripts.cli import run as tilebert
from sim.toolchain import environment
from tests.support.delivered import written
from tests.support.jobs import config
from tests.support.refusal import refused

SETS = {"w8a8": ("w8a8",), "all": MODE_NAMES}
BUILDS = [
    pytest.param(unit, target, names, dsp, id=f"{unit}-{target}-{modes}{'' if dsp else '-no-dsp'}")
    for unit in ("pe", "array", "core")
    for target in ("generic", "ecp5", "xc7")
    for modes, names in SETS.items()
    for dsp in ((True, False) if modes == "w8a8" and target != "xc7" else (True,))
]

SOME_SLOW = [
    pytest.param(*each.values, id=each.id, marks=[pytest.mark.slow] * (each.values[0] != "pe"))
    for each in BUILDS
]


def lint(folder: Path, top: str, *files: str) -> None:
    """Verilator without a complaint, with all its warnings on."""
    with environment():
        command = [
            "verilator_bin",
            "--lint-only",
            "-Wall",
            "--quiet-stats",
            "--top-module",
            top,
            *files,
        ]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, ""), run.stderr[:2000]


def parsed(text: str) -> list[str]:
    """What slang, which reads SystemVerilog by the letter, finds wrong."""
    compilation = pyslang.ast.Compilation()
    compilation.addSyntaxTree(pyslang.syntax.SyntaxTree.fromText(text))
    return [str(each.code) for each in compilation.getAllDiagnostics() if each.isError()]


@pytest.mark.parametrize(("unit", "target", "names", "dsp"), SOME_SLOW)
def test_every_tool_takes_the_text(
    unit: str, target: str, names: tuple[str, ...], dsp: bool, tmp_path: Path
) -> None:
    options = ["--unit", unit, "--target", target, "--rows", "2", "--cols", "3"]
    manifest, files = written(
        tmp_path / "with space", *options, *([] if dsp else ["--no-dsp"]), names=names
    )
    text = files[manifest["source"]]
    assert manifest["source"] == f"{unit}.sv"
    assert sorted(manifest["files"]) == sorted(files.keys() - {"manifest.json"})
    assert hashlib.sha256(text.encode()).hexdigest() == manifest["sha256"]
    assert parsed("\n".join(files[name] for name in manifest["files"])) == []
    lint(tmp_path / "with space", unit, *manifest["files"])
    # Of cells that Verilog cannot know, Yosys has its own descriptions.
    cells = {"ecp5": "read_verilog -lib +/ecp5/cells_sim.v +/ecp5/cells_bb.v"}.get(target, "")
    cells = {"xc7": "read_verilog -lib +/xilinx/cells_sim.v"}.get(target, cells)
    run_yosys(
        f"{cells}\nread_verilog design.v; hierarchy -check -top {unit}; proc; check -assert",
        inputs={"design.v": text},
    )


@pytest.mark.parametrize(("unit", "target", "names", "dsp"), SOME_SLOW)
def test_the_text_is_plain(unit: str, target: str, names: tuple[str, ...], dsp: bool) -> None:
    design = generate(unit, config(*names, rows=1, cols=2, dsp=dsp), target)
    assert "\\" not in design.text
    assert not re.search(r"always_|logic|\[-1:0\]|always @\*|initial begin", design.text)
    modules = re.findall(r"^module (\w+)", design.text, re.MULTILINE)
    assert [name for name in modules if not name.startswith(design.prefix)] == [unit]
    assert design.prefix.startswith(f"{unit}_")
    memories = re.findall(r"^ +reg (?:\[\d+:0\] )?\w+ \[\d+:0\];", design.text, re.MULTILINE)
    assert len(memories) == design.text.count("(* no_rw_check *)")
    assert bool(memories) == (unit == "core")
    assert design.text.count("casez") == design.text.count("(* parallel_case *)")
    ports = {port.name for port in design.ports}
    header = re.search(rf"^module {unit}\((.*?)\);", design.text, re.MULTILINE)
    assert ports == set(re.findall(r"\w+", header[1]))
    # A tool does not resolve `define` or `include`.
    assert "`" not in design.text


@pytest.mark.slow
def test_the_text_is_the_same_each_time() -> None:
    assert generate("core", config("w8a8")).sha256 == generate("core", config("w8a8")).sha256


def test_the_manifest_says_what_was_built(tmp_path: Path) -> None:
    options = {
        "rows": 3,
        "cols": 5,
        "k_max": 64,
        "bus": 16,
        "results": 2,
        "x_words": 128,
        "w_words": 256,
    }
    options["panels"] = 3
    words = [
        part
        for name, value in options.items()
        for part in (f"--{name.replace('_', '-')}", str(value))
    ]
    manifest, _ = written(tmp_path, *words, names=("w4a4",))
    assert manifest["parameters"] == options | {"modes": ["w4a4"], "exponent_bits": 4, "dsp": True}
    assert BuildSpec.parse(manifest["build"]).config == config(
        *manifest["parameters"]["modes"], **options
    )
    assert manifest["rings"] == {
        "x": {"word": 3, "factor": 8, "lines": 16},
        "w": {"word": 5, "factor": 4, "lines": 64},
        "p": {"word": 16, "factor": 1, "lines": 15},
    }
    widths = {port["name"]: port["width"] for port in manifest["ports"]}
    assert widths["loads__payload"] == 128
    assert widths["results__payload"] == 2 * manifest["result_width"] + 2
    assert manifest["latency"] > manifest["interval"] == 5


def test_a_modes_name_states_its_exponent_bits(tmp_path: Path) -> None:
    options = ("--unit", "pe", "--rows", "1", "--cols", "1")
    named, _ = written(tmp_path / "a", *options, names=("wlog3-a8",))
    stated, _ = written(tmp_path / "b", *options, "--exponent-bits", "3", names=("wlog-a8",))
    assert named == stated
    assert (named["parameters"]["modes"], named["parameters"]["exponent_bits"]) == (["wlog-a8"], 3)


@pytest.mark.slow
@pytest.mark.parametrize("unit", sorted(UNITS))
def test_the_manifest_names_the_ports_of_the_text(unit: str, tmp_path: Path) -> None:
    manifest, files = written(
        tmp_path, "--unit", unit, "--rows", "2", "--cols", "2", names=MODE_NAMES
    )
    header = re.search(
        rf"^module {unit}\((.*?)\);(.*?)^endmodule", files[f"{unit}.sv"], re.M | re.S
    )
    assert {port["name"] for port in manifest["ports"]} == set(re.findall(r"\w+", header[1]))
    for port in manifest["ports"]:
        bits = "" if port["width"] == 1 else rf"\[{port['width'] - 1}:0\] "
        assert re.search(rf"^  {port['direction']} {bits}{port['name']};", header[2], re.M), port


@pytest.mark.slow
def test_an_earlier_bench_goes(tmp_path: Path) -> None:
    written(tmp_path, "--rows", "1", "--cols", "1", "--bench")
    assert tilebert(["verilog", "--rows", "1", "--cols", "2", "-o", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["core.sv", "manifest.json"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["core.sv", "core_bench.v", "ecp5_models.v", "manifest.json"])
def test_a_folder_in_place_of_a_file(
    name: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Nothing of the set is written."""
    (tmp_path / name).mkdir()
    words = [
        "verilog",
        "--rows",
        "1",
        "--cols",
        "1",
        "--target",
        "ecp5",
        "--bench",
        "-o",
        str(tmp_path),
    ]
    refused(words, f"--output: expected a file in an existing folder, got {tmp_path / name}", capfd)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.slow
def test_two_builds_fit_one_design(tmp_path: Path) -> None:
    """Both have a PE, a queue and a requantizer, and none of them is the other's."""
    tops = []
    for prefix, name in (("first_", "w8a8"), ("second_", "w4a4")):
        manifest, _ = written(
            tmp_path, "--prefix", prefix, "--rows", "2", "--cols", "2", names=(name,)
        )
        assert manifest["source"] == f"{prefix}core.sv"
        tops.append(manifest["top"])
    assert tops == ["first_core", "second_core"]
    wires = "\n".join(f"  {top} {top}_0 (.clk(clk), .rst(rst));" for top in tops)
    both = f"module both(input clk, input rst);\n{wires}\nendmodule\n"
    texts = [(tmp_path / f"{top}.sv").read_text() for top in tops]
    assert parsed("\n".join([both, *texts])) == []
    inputs = {"both.v": both} | {f"{top}.v": text for top, text in zip(tops, texts, strict=True)}
    script = "".join(f"read_verilog {name}\n" for name in inputs)
    run_yosys(f"{script}hierarchy -check -top both\nproc\ncheck -assert", inputs=inputs)
    modules = re.findall(r"^module (\w+)", "".join(texts), re.MULTILINE)
    assert len(set(modules)) == len(modules)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--bench --unit array", "--bench: expected with --unit core, got array"),
        (
            "--prefix 3a",
            "--prefix: expected a letter, then up to 63 letters, digits or underscores, got '3a'",
        ),
        (
            "--prefix a-b",
            "--prefix: expected a letter, then up to 63 letters, digits or underscores, got 'a-b'",
        ),
        (
            f"--prefix {'a' * 65}",
            "--prefix: expected a letter, then up to 63 letters, digits or underscores",
        ),
        ("--prefix ty --unit pe", "--prefix: expected one that makes no keyword with pe, got 'ty'"),
        ("--bench --k-max 8", "--bench: expected --k-max 24 or more, got 8"),
        ("--bus 3", "--bus: expected a power of two up to 256, got 3"),
        ("--results 0", "--results: expected a power of two up to 256, got 0"),
        ("--x-words 8", "--x-words: expected 4096 (k_max) to 65536 words, got 8"),
        ("--panels 0", "--panels: expected an integer >= 1, got 0"),
    ],
)
def test_what_is_refused(
    options: str, message: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refused(["verilog", *options.split(), "-o", str(tmp_path / "out")], message, capfd)
    assert not (tmp_path / "out").exists()
