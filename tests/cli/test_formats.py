"""`tilebert formats` on a small model: table, record, plots, and what it says about wrong input."""

import json
from pathlib import Path

import numpy as np
import pytest

from golden.bert.calibration import quantize_model
from golden.bert.encoder import float_encoder
from golden.bert.quantized import QuantizedModel, quantized_encoder
from golden.bert.statistics import weight_statistics
from golden.schedule.backend import golden_backend
from golden.spec.modes import Mode, mode
from scripts.cli import run
from scripts.eval import accuracy, measurements
from scripts.report import plots
from tests.support import tiny

ROWS = """A grey cat.,A grey dog.,3
Two doors.,Two red doors.,4
Snow fell.,He likes tea.,0
A b c.,A b d.,4.5
"""
MODES = (mode("w8a8"), mode("w4a8"), mode("wlog-a8", 3), mode("wpw-a8"))
PLOTS = {"weight_errors.png", "gemm_errors.png", "code_usage.png"}


class Words:
    """A tokenizer of the small model's vocabulary."""

    def encode(self, text: str) -> list[int]:
        return [1, *(3 + sum(word.encode()) % 47 for word in text.split()[:10]), 2]

    def encode_all(self, texts: list[str]) -> list[list[int]]:
        return [self.encode(text) for text in texts]


def load_model(chosen: Mode, *, trained: bool = False) -> QuantizedModel:
    assert not trained
    return quantize_model(tiny.tiny_weights(), chosen, tiny.SENTENCES)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, with glue/ in it; commands find the small model."""

    def load_encoder(chosen: Mode | None, *, trained: bool = True):
        if chosen is None:
            return float_encoder(tiny.tiny_weights())
        # What is measured here is quantization by itself.
        assert not trained
        return quantized_encoder(load_model(chosen), golden_backend)

    monkeypatch.setattr(measurements, "MODES", MODES)
    monkeypatch.setattr(measurements, "LAYER", 1)
    monkeypatch.setattr(measurements, "read_weights", tiny.tiny_weights)
    monkeypatch.setattr(measurements, "load_model", load_model)
    monkeypatch.setattr(measurements, "load_encoder", load_encoder)
    monkeypatch.setattr(measurements, "Tokenizer", Words)
    monkeypatch.setattr(accuracy, "Tokenizer", Words)
    (tmp_path / "glue" / "STS-B").mkdir(parents=True)
    (tmp_path / "glue" / "STS-B" / "dev.csv").write_text(ROWS)
    (tmp_path / "file").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_formats_with_a_benchmark(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["formats", "--glue", "glue", "--json", "formats.json"]) == 0
    out, _ = capfd.readouterr()
    record = json.loads((folder / "formats.json").read_text())
    assert (record["task"], record["pairs"]) == ("sts-b", 4)
    assert [(row["mode"], row["exponent_bits"]) for row in record["formats"]] == [
        ("w8a8", None),
        ("w4a8", None),
        ("wlog-a8", 3),
        ("wpw-a8", None),
    ]
    base, shape = record["fp32"]["pearson"], tiny.CONFIG.dense_shape
    count = 2 * sum(
        int(np.prod(shape(name))) for name in ("query", "key", "value", "output", "ffn1", "ffn2")
    )
    assert record["fp32"]["weight_bytes"] == 4 * count
    assert [row["weight_bytes"] for row in record["formats"]] == [
        count,
        count // 2,
        count // 2,
        count,
    ]
    for chosen, row in zip(MODES, record["formats"], strict=True):
        assert row["pearson_change"] == pytest.approx(row["pearson"] - base)
        statistics = weight_statistics(load_model(chosen), tiny.tiny_weights())
        assert row["weight_snr_db"] == statistics.signal_to_noise
        assert row["zero_fraction"] == statistics.zero_fraction
        for figure in (
            f"{row['pearson']:.2f}",
            f"{row['weight_snr_db']:.1f}",
            f"{row['zero_fraction']:.1%}",
        ):
            assert figure in out
    assert "wlog-a8 (3)" in out


def test_plots_and_histograms_of_every_sample(folder: Path) -> None:
    assert run(["formats", "-o", "deep/plots"]) == 0
    output = folder / "deep" / "plots"
    assert {path.name for path in output.iterdir()} == {*PLOTS, "histograms.json"}
    for name in PLOTS:
        content = (output / name).read_bytes()
        assert content.startswith(b"\x89PNG\r\n\x1a\n")
        assert len(content) > 10_000
    data = json.loads((output / "histograms.json").read_text())
    weights = 2 * 4 * 24 * 24 + 2 * 2 * 24 * 40
    bins = len(data["relative_error_edges"]) - 1
    assert set(data["weight_errors"]) == {"linear 8", "linear 4", "log2 3", "piece-wise 8"}
    assert set(data["gemm_errors"]) == {"w8a8", "w4a8", "wlog-a8 (3)", "wpw-a8"}
    for kind in ("weight_errors", "gemm_errors"):
        totals = {sum(h["counts"]) + h["below"] + h["above"] for h in data[kind].values()}
        assert len(totals) == 1
        assert {len(h["counts"]) for h in data[kind].values()} == {bins}
        assert kind != "weight_errors" or totals == {weights}
    lowest = {
        label: (usage["lowest_code"], len(usage["counts"]))
        for label, usage in data["code_usage"].items()
    }
    assert lowest == {
        "linear 8": (-127, 255),
        "linear 4": (-7, 15),
        "log2 3": (-7, 15),
        "piece-wise 8": (-127, 255),
    }
    assert {sum(usage["counts"]) for usage in data["code_usage"].values()} == {weights}


def test_formats_without_a_benchmark(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["formats", "--json", "formats.json"]) == 0
    out, _ = capfd.readouterr()
    assert out.count("not run") == 1 + len(MODES)
    record = json.loads((folder / "formats.json").read_text())
    assert record["task"] is record["fp32"]["pearson"] is record["formats"][0]["pearson"] is None
    assert sorted(path.name for path in folder.iterdir()) == ["file", "formats.json", "glue"]


def test_equal_figures_are_equal_files(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        plots.write(tmp_path / name, plots.usage("title", "share", {"one": np.array([1, 5, 2])}))
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_a_failed_plot_leaves_no_file(folder: Path) -> None:
    class Broken:
        def savefig(self, file, **options):
            file.write(b"half")
            raise OSError(28, "No space left on device")

    with pytest.raises(
        ValueError, match=r"^--output: expected a writable place, got .*plot.png \(No space left"
    ):
        plots.write(folder / "plot.png", Broken())
    assert sorted(path.name for path in folder.iterdir()) == ["file", "glue"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--glue gone", "--glue: gone: expected STS-B/dev.csv or STS-B/dev.tsv, found neither"),
        ("--glue glue --limit 0", "--limit: expected 2 pairs or more, got 0"),
        ("--limit 10", "--limit: expected with --glue, got none"),
        ("-o file", "--output: expected a folder, got the file file"),
        ("-o file/plots", "--output: expected a folder, got the file file"),
        ("--json gone/x.json", "--json: expected a file in an existing folder, got gone/x.json"),
    ],
)
def test_formats_names_what_is_wrong(
    options: str, message: str, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    before = sorted(folder.rglob("*"))
    assert run(["formats", *options.split()]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err == f"tilebert: {message}\n"
    assert sorted(folder.rglob("*")) == before
