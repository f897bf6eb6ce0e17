"""Sizes, parts and seeds that nothing can be made of are refused by name, before anything runs."""

from pathlib import Path

import numpy as np
import pytest

from golden.spec.modes import mode
from hw.config import LINES, Config
from scripts.cli import run
from scripts.options import MOST_PES, check_size
from tests.support.jobs import config
from tests.support.refusal import refused

SIZES = {
    "simulate": "simulate",
    "gemm --x x.npy --w w.npy -o y.npy --backend rtl": "simulate",
    "bert text --backend rtl": "simulate",
    "eval --task sts-b --glue . --backend rtl": "simulate",
    "bench": "simulate",
    "synth": "map",
    "build --board ulx3s-85f -o out": "map",
    "verilog -o out": "write",
}
"""Commands that make hardware, and what they do with it."""


@pytest.mark.parametrize("words", SIZES)
def test_a_size_that_takes_hours(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    purpose = SIZES[words]
    refused(
        [*words.split(), "--rows", "10000"],
        f"rows x cols: expected at most {MOST_PES[purpose]:,} PEs to {purpose}, got 10,000 x ",
        capfd,
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["--unit array", "--bench minilm"])
def test_a_size_in_a_sweep(what: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    words = f"sweep -o {tmp_path / 'r.csv'} {what} --size 8x8 --size 10000x8"
    refused(words.split(), "rows x cols: expected at most 4,096 PEs", capfd)
    assert list(tmp_path.iterdir()) == []


def test_the_message_says_what_it_would_take() -> None:
    check_size(config("w8a8", rows=64, cols=64), "simulate")
    with pytest.raises(
        ValueError,
        match=r"^rows x cols: .* 64 x 65 = 4,160, which take about 5 MB of Verilog and 0.3 hours$",
    ):
        check_size(config("w8a8", rows=64, cols=65), "simulate")


def test_golden_has_no_such_limit(tmp_path: Path) -> None:
    for name in ("x", "w"):
        np.save(tmp_path / f"{name}.npy", np.ones((3, 3), np.int8))
    files = [
        f"--x={tmp_path / 'x.npy'}",
        f"--w={tmp_path / 'w.npy'}",
        f"--output={tmp_path / 'y.npy'}",
    ]
    assert run(["gemm", *files, "--rows", "10000"]) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "synth --device LFE5U-99F",
            "--device: expected one of LFE5U-25F, LFE5U-45F, LFE5U-85F, got 'LFE5U-99F'",
        ),
        (
            "synth --target ice40 --device up5k",
            "--device: expected one of iCE40UP5K, iCE40HX8K, got 'up5k'",
        ),
        (
            "synth --target ice40 --pnr --device LFE5U-85F",
            "--device: expected one of iCE40UP5K, iCE40HX8K, got 'LFE5U-85F'",
        ),
        (
            "synth --target xc7 --device xc7a35t",
            "--device: expected none with --target xc7, got 'xc7a35t'",
        ),
        ("synth --device=", "--device: expected one of LFE5U-25F, LFE5U-45F, LFE5U-85F, got ''"),
    ],
)
def test_an_unknown_part(words: str, message: str, capfd: pytest.CaptureFixture[str]) -> None:
    refused(words.split(), message, capfd)


@pytest.mark.parametrize("seed", ["-1", str(2**31), str(-(2**70))])
@pytest.mark.parametrize(
    "words",
    [
        "synth --pnr",
        "sweep -o r.csv --unit pe",
        "build --board ulx3s-85f -o out",
        "train --task rte --glue . -o m",
        "table --glue .",
    ],
)
def test_a_seed_out_of_range(
    words: str,
    seed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    refused([*words.split(), "--seed", seed], f"--seed: expected 0..2147483647, got {seed}", capfd)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("rows", "k_max"), [(1, 4096), (8, 32768), (8, 32769), (1, 40000), (1, 65535), (3, 65535)]
)
def test_buffers_hold_any_k(rows: int, k_max: int) -> None:
    """Two panels if commands can address their lines, otherwise one."""
    subject = Config(modes=(mode("w8a8"),), rows=rows, cols=1, k_max=k_max)
    assert subject.x_ring.lines <= LINES
    assert subject.x_ring.words >= min(2 * k_max, subject.x_ring.factor * LINES)
    assert subject.x_ring.words >= k_max


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--k-max 65536", "--k-max: expected at most 65535, got 65536"),
        ("--x-words 100", "--x-words: expected 4096 (k_max) to 65536 words, got 100"),
        ("--w-words 65537", "--w-words: expected 4096 (k_max) to 65536 words, got 65537"),
        (
            "--k-max 64 --rows 1 --x-words 1048576",
            "--x-words: expected 64 (k_max) to 524288 words, got 1048576",
        ),
        ("--x-words -1", "--x-words: expected 4096 (k_max) to 65536 words, got -1"),
        ("--bus 3", "--bus: expected a power of two up to 256, got 3"),
        ("--bus 1099511627776", "--bus: expected a power of two up to 256, got 1099511627776"),
        ("--results 2048", "--results: expected a power of two up to 256, got 2048"),
    ],
)
def test_what_stands_around_the_array(
    options: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    refused(["bench", *options.split()], message, capfd)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("verilog -o out --exponent-bits 99", "--exponent-bits: expected 3..5, got 99"),
        ("synth --exponent-bits 2", "--exponent-bits: expected 3..5, got 2"),
        ("quantize -o m --exponent-bits 0", "--exponent-bits: expected 3..5, got 0"),
        (
            "sweep -o r.csv --unit pe --size 1x1 --exponent-bits 7",
            "--exponent-bits: expected 3..5, got 7",
        ),
        ("gemm --x x --w w -o y --exponent-bits 6", "--exponent-bits: expected 3..5, got 6"),
        ("gemm --x x --w w -o y --ratio 64", "--ratio: expected 1..63, got 64"),
        ("gemm --x x --w w -o y --offset -1", "--offset: expected 0..63, got -1"),
    ],
)
def test_a_parameter_of_other_modes(
    words: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """The mode w8a8 does not read it, and records and manifests would hold it."""
    monkeypatch.chdir(tmp_path)
    refused(words.split(), message, capfd)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "verilog -o out --rows 1.5",
            "Invalid value for '--rows': Input should be a valid integer",
        ),
        ("synth --seed x", "Invalid value for '--seed': Input should be a valid integer"),
        (
            "compare a b --tolerance few",
            "Invalid value for '--tolerance': Input should be a valid number",
        ),
        (
            "verilog -o out --unit row",
            "Invalid value for '--unit': Value error, 'row' is not one of",
        ),
        ("cache remove", "Invalid value for '[list|clean]': Value error, 'remove' is not one of"),
    ],
)
def test_a_value_of_another_type_is_shown(
    words: str, message: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert run(words.split()) == 2
    err = capfd.readouterr().err
    assert err.startswith(f"tilebert: {message}")
    assert err.count(f"'{words.split()[-1]}'") == 1
    assert err.count("\n") == 1


@pytest.mark.slow
def test_the_deepest_gemm_that_fits_one_panel(tmp_path: Path) -> None:
    """40,000 products to a sum: --k-max alone is enough, the buffers follow."""
    rng = np.random.default_rng(1)
    np.save(tmp_path / "x.npy", rng.integers(-127, 128, (3, 40000), dtype=np.int8))
    np.save(tmp_path / "w.npy", rng.integers(-127, 128, (40000, 3), dtype=np.int8))
    words = [
        "gemm",
        "--x",
        str(tmp_path / "x.npy"),
        "--w",
        str(tmp_path / "w.npy"),
        "-o",
        str(tmp_path / "y.npy"),
    ]
    assert run([*words, "--k-max", "40000", "--backend", "rtl", "--rows", "2", "--cols", "2"]) == 0
    x, w = (np.load(tmp_path / f"{name}.npy").astype(np.int64) for name in ("x", "w"))
    assert np.array_equal(np.load(tmp_path / "y.npy"), x @ w)
