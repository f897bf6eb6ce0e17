"""Sentences through the simulated hardware: `bert`, `eval` and `bench` on RTL, against golden."""

import json
from pathlib import Path

import numpy as np
import pytest
from distributed import LocalCluster

from scripts.cli import run

TEXTS = ("A dog runs.", "Dogs run.")
SMALL = ["--rows", "8", "--cols", "8"]


@pytest.fixture
def glue(tmp_path: Path) -> Path:
    (tmp_path / "STS-B").mkdir()
    rows = [
        f'"{first}","{second}",{score}'
        for first, second, score in ((*TEXTS, 4.5), ("No.", "A dog runs.", 0.5))
    ]
    (tmp_path / "STS-B" / "dev.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


@pytest.mark.slow
def test_two_texts_have_the_same_similarity_on_golden_and_rtl(tmp_path: Path) -> None:
    records = {}
    for backend in ("golden", "rtl"):
        files = [
            "-o",
            str(tmp_path / f"{backend}.npy"),
            "--json",
            str(tmp_path / f"{backend}.json"),
        ]
        assert run(["bert", *TEXTS, "--backend", backend, *SMALL, *files]) == 0
        records[backend] = json.loads((tmp_path / f"{backend}.json").read_text())
    assert (tmp_path / "golden.npy").read_bytes() == (tmp_path / "rtl.npy").read_bytes()
    assert records["golden"]["similarity"] == records["rtl"]["similarity"]
    assert records["rtl"]["mismatches"] == 0
    # 6 layers of 6 linear GEMMs and 2 x 12 products of heads, for either text.
    assert records["rtl"]["gemms"] == 2 * 6 * (6 + 24)
    tokens = records["rtl"]["tokens"]
    linear = 6 * (4 * 384 * 384 + 2 * 384 * 1536)
    assert records["rtl"]["products"] == sum(linear * n + 6 * 2 * 384 * n * n for n in tokens)


@pytest.mark.slow
def test_raw_sums_give_the_same_vector(tmp_path: Path) -> None:
    golden, raw, dump = tmp_path / "golden.npy", tmp_path / "raw.npy", tmp_path / "dump"
    assert run(["bert", TEXTS[0], "-o", str(golden)]) == 0
    files = ["--dump", str(dump), "-o", str(raw)]
    assert run(["bert", TEXTS[0], "--backend", "rtl", "--raw", *SMALL, *files]) == 0
    assert raw.read_bytes() == golden.read_bytes()
    # Nothing left the hardware as codes.
    assert {np.load(place).dtype for place in dump.glob("*/y.npy")} == {np.dtype(np.int64)}
    assert not list(dump.glob("*/mult.npy"))


@pytest.mark.slow
def test_a_dumped_gemm_can_be_replayed(tmp_path: Path) -> None:
    dump = tmp_path / "dump"
    assert (
        run(["bert", TEXTS[0], "--mode", "wpw-a8", "--backend", "rtl", *SMALL, "--dump", str(dump)])
        == 0
    )
    folders = sorted(dump.iterdir())
    assert len(folders) == 6 * (6 + 24)
    for name in ("query", "scores-3", "context-11", "ffn2"):
        (folder,) = [each for each in folders if each.name.endswith(f"-layer5-{name}")]
        places = {key: folder / f"{key}.npy" for key in ("x", "w", "bias", "mult", "shift")}
        values = {key: place for key, place in places.items() if place.exists()}
        values |= json.loads((folder / "options.json").read_text())
        options = [part for key, value in values.items() for part in (f"--{key}", str(value))]
        assert run(["gemm", *options, "-o", str(tmp_path / "y.npy")]) == 0
        assert (np.load(tmp_path / "y.npy") == np.load(folder / "y.npy")).all()


@pytest.mark.slow
def test_eval_on_rtl_gives_golden_s_figures_and_goes_on_where_it_stopped(
    glue: Path, tmp_path: Path
) -> None:
    options = ["eval", "--task", "sts-b", "--glue", str(glue)]
    assert run([*options, "--json", str(tmp_path / "golden.json")]) == 0
    golden = json.loads((tmp_path / "golden.json").read_text())
    rtl = [*options, "--backend", "rtl", *SMALL, "--workers", "1", "--keep", str(tmp_path / "keep")]
    records = []
    for name in ("first", "second"):
        assert run([*rtl, "--json", str(tmp_path / f"{name}.json")]) == 0
        records.append(json.loads((tmp_path / f"{name}.json").read_text()))
        kept = sorted((tmp_path / "keep").iterdir())
        if name == "first":
            # Of an interrupted run some batches are missing.
            kept[0].unlink()
    for record in records:
        assert (record["pearson"], record["spearman"]) == (golden["pearson"], golden["spearman"])
        assert record["mismatches"] == 0
    assert records[0]["cycles"] == records[1]["cycles"]


@pytest.mark.slow
def test_a_cluster_gives_the_same_as_a_worker_of_one_s_own(glue: Path, tmp_path: Path) -> None:
    records = {}
    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        for name, where in {
            "own": ["--workers", "1"],
            "cluster": ["--scheduler", cluster.scheduler_address],
        }.items():
            place = tmp_path / f"{name}.json"
            arguments = ["--task", "sts-b", "--glue", str(glue), "--backend", "rtl", *SMALL, *where]
            assert run(["eval", *arguments, "--json", str(place)]) == 0
            records[name] = json.loads(place.read_text())
            del records[name]["seconds"]
    assert records["own"] == records["cluster"]


@pytest.mark.slow
def test_no_cluster_at_the_address(glue: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["--task", "sts-b", "--glue", str(glue), "--backend", "rtl", *SMALL]
    assert run(["eval", *arguments, "--scheduler", "127.0.0.1:1"]) == 2
    (line,) = capfd.readouterr().err.strip().splitlines()
    assert line.startswith(
        "tilebert: --scheduler: expected the address of a Dask scheduler, got 127.0.0.1:1"
    )


@pytest.mark.slow
def test_bench_predicts_what_the_hardware_takes(tmp_path: Path) -> None:
    place = tmp_path / "bench.json"
    assert run(["bench", "--model", "minilm", "--tokens", "4", *SMALL, "--json", str(place)]) == 0
    record = json.loads(place.read_text())
    assert record["bit_exact"] is True
    assert [each["gemm"] for each in record["results"]][-1] == "layer"
    for each in record["results"]:
        assert each["cycles"] == pytest.approx(each["predicted"], rel=0.01)
        assert 0 < each["utilization"] <= each["of_bound"] <= 1


WRONG = {
    "three texts": (["bert", "a", "b", "c"], "text: expected one or two, got 3"),
    "an empty text": (["bert", " "], "text: expected at least one word, got ' '"),
    "float on hardware": (
        ["bert", "a", "--mode", "fp32", "--backend", "rtl"],
        "--backend rtl: expected with a quantized mode, got --mode fp32",
    ),
    "a dump of golden": (
        ["bert", "a", "--dump", "d"],
        "--dump: expected with --backend rtl, got golden",
    ),
    "sums of golden": (["bert", "a", "--raw"], "--raw: expected with --backend rtl, got golden"),
    "no clock": (["bert", "a", "--clock", "0"], "--clock: expected MHz above 0, got 0"),
    "no tokens": (["bench", "--tokens", "0"], "--tokens: expected 1..4096, got 0"),
    "a bus of three": (["bench", "--bus", "3"], "--bus: expected a power of two up to 256, got 3"),
    "a small buffer": (
        ["bench", "--x-words", "100"],
        "--x-words: expected 4096 (k_max) to 65536 words, got 100",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_wrong_input_ends_in_one_line(case: str, capfd: pytest.CaptureFixture[str]) -> None:
    arguments, message = WRONG[case]
    assert run(arguments) == 2
    assert capfd.readouterr().err.strip() == f"tilebert: {message}"
