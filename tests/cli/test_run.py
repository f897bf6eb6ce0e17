"""The commands on good input: files, records, and what other tools make of the Verilog."""

import json
from pathlib import Path

import numpy as np
import pytest

from golden.bert import checkpoint
from golden.spec.modes import MODE_NAMES, mode
from scripts.cli import run
from tests.support.jobs import PATTERNS, random_job

GEMM_KEYS = {"mode", "backend", "rows", "cols", "m", "k", "n"}
RTL_KEYS = {
    "cycles",
    "utilization",
    "mismatches",
    "bit_exact",
    "verilog_sha256",
    "simulator",
    "seconds",
}


def write_job(folder: Path, name: str, requantize: bool, shape: tuple[int, int, int]) -> list[str]:
    """Files of a random job, and the options that name them."""
    rng = np.random.default_rng(5)
    job = random_job(
        rng, mode(name), shape, requantize=requantize, patterns=("random", PATTERNS[0])
    )
    arrays = {"x": job.x, "w": job.w, "bias": job.bias}
    options = ["--mode", name]
    if job.epilogue is not None:
        arrays |= {"mult": job.epilogue.mult, "shift": job.epilogue.shift}
        options += ["--bits", str(job.epilogue.bits)]
    for key, array in arrays.items():
        np.save(folder / f"{key}.npy", array)
        options += [f"--{key}", str(folder / f"{key}.npy")]
    return options


@pytest.mark.slow
@pytest.mark.parametrize("requantize", [False, True])
def test_gemm_gives_the_same_file_from_both(requantize: bool, tmp_path: Path) -> None:
    options = write_job(tmp_path, "w8a8", requantize, (9, 20, 13))
    for backend in ("golden", "rtl"):
        files = [
            "-o",
            str(tmp_path / f"{backend}.npy"),
            "--json",
            str(tmp_path / f"{backend}.json"),
        ]
        assert run(["gemm", *options, "--backend", backend, *files]) == 0
    assert (tmp_path / "golden.npy").read_bytes() == (tmp_path / "rtl.npy").read_bytes()
    y = np.load(tmp_path / "rtl.npy")
    assert y.dtype == (np.int8 if requantize else np.int64)
    golden, rtl = (
        json.loads((tmp_path / f"{name}.json").read_text()) for name in ("golden", "rtl")
    )
    assert golden.keys() >= GEMM_KEYS
    assert rtl.keys() >= GEMM_KEYS | RTL_KEYS
    assert (rtl["m"], rtl["k"], rtl["n"]) == (9, 20, 13)
    assert rtl["bit_exact"] is True
    assert rtl["mismatches"] == 0
    assert 0 < rtl["utilization"] <= 1


@pytest.mark.parametrize("name", MODE_NAMES)
def test_gemm_of_every_mode_on_golden(name: str, tmp_path: Path) -> None:
    options = write_job(tmp_path, name, False, (3, 5, 4))
    assert run(["gemm", *options, "-o", str(tmp_path / "y.npy")]) == 0
    assert np.load(tmp_path / "y.npy").shape == (3, 4)


@pytest.mark.slow
def test_simulate_runs_a_whole_layer(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "layer.json"
    assert run(["simulate", "--text", "A short one.", "--layer", "3", "--json", str(file)]) == 0
    record = json.loads(file.read_text())
    assert record["bit_exact"] is True
    assert record.keys() >= {"verilog_sha256", "simulator", "results"}
    assert record["models"] == {"w8a8": "checkpoints/similarity-w8a8.safetensors"}
    names = [result["gemm"] for result in record["results"]]
    assert names == ["query", "key", "value", "scores", "context", "output", "ffn1", "ffn2"]
    assert all(result["mismatches"] == 0 and result["layer"] == 3 for result in record["results"])
    shapes = [(result["m"], result["k"], result["n"]) for result in record["results"]]
    assert shapes == [(6, 384, 384)] * 3 + [
        (6, 32, 6),
        (6, 6, 32),
        (6, 384, 384),
        (6, 384, 1536),
        (6, 1536, 384),
    ]
    assert "exact: all" in capfd.readouterr().out


@pytest.mark.slow
def test_quantize_writes_the_int8_checkpoint(tmp_path: Path) -> None:
    file = tmp_path / "model.safetensors"
    assert run(["quantize", "-o", str(file)]) == 0
    model = checkpoint.load(file)
    assert model.mode == mode("w8a8")
    assert file.stat().st_size < 12_000_000
