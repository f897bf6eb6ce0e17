"""kill -9 during a long command; the same command then writes what it would have without."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from golden.bert import checkpoint
from golden.bert.calibration import quantize_model
from golden.bert.tokens import Tokenizer
from golden.spec.modes import mode
from scripts import records
from tests.support import tiny
from tests.support.killed import finished, killed

pytestmark = pytest.mark.slow

SENTENCES = (
    "A dog runs.",
    "A cat sleeps on the sofa.",
    "The bus leaves at noon.",
    "Two boys in red play chess.",
    "A woman paints the fence behind her house.",
    "Rain is expected on Sunday and on Monday.",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """glue/ with ten pairs of sentences of five lengths, and a tiny model with their words."""
    folder = tmp_path_factory.mktemp("eval")
    (folder / "glue" / "STS-B").mkdir(parents=True)
    count = len(SENTENCES)
    pairs = [
        (SENTENCES[i % count], SENTENCES[(i * i + 1) % count], i % 6 / 2 + i / 20)
        for i in range(10)
    ]
    rows = "".join(f"{first},{second},{score}\n" for first, second, score in pairs)
    (folder / "glue" / "STS-B" / "dev.csv").write_text(rows)
    config = replace(tiny.CONFIG, vocabulary=30522, positions=64, max_tokens=64)
    model = quantize_model(
        tiny.tiny_weights(config=config), mode("w8a8"), Tokenizer().encode_all(SENTENCES)
    )
    checkpoint.save(model, folder / "tiny.safetensors", embeddings=True)
    return folder


def without_times(path: Path) -> dict[str, Any]:
    record = json.loads(path.read_text())
    assert record.pop("seconds") > 0
    return record


def test_an_evaluation_goes_on(folder: Path, tmp_path: Path) -> None:
    words = ["eval", "--task", "sts-b", "--glue", "glue", "--checkpoint", "tiny.safetensors"]
    words += ["--backend", "rtl", "--rows", "2", "--cols", "2"]
    finished([*words, "--workers", "1", "--json", "whole.json"], folder)
    again = [*words, "--keep", "keep", "--workers", "2", "--json", "again.json"]
    for moment in ("before", "after"):
        killed(again, folder, tmp_path / "hooks", "*.npz", 2, moment)
        assert not (folder / "again.json").exists()
    # The second of the first run was whole, and did not yet have its name.
    assert len(list((folder / "keep").glob("*.npz"))) == 3
    assert finished(again, folder) == ""
    batches = sorted((folder / "keep").iterdir())
    assert len(batches) == 4
    assert all(path.suffix == ".npz" for path in batches)
    assert without_times(folder / "again.json") == without_times(folder / "whole.json")
    # All kept now, and one of them damaged.
    batches[0].write_bytes(batches[0].read_bytes()[:500])
    (folder / "again.json").unlink()
    err = finished(again, folder)
    assert (
        err == f"tilebert: keep/{batches[0].name}: damaged, is computed again "
        "(File is not a zip file)\n"
    )
    assert without_times(folder / "again.json") == without_times(folder / "whole.json")


def test_a_sweep_goes_on(tmp_path: Path) -> None:
    words = ["sweep", "--unit", "pe", "--size", "1x1", "--k-max", "64"]
    words += [word for name in ("w8a8", "w4a8", "w4a4") for word in ("--modes", name)]
    finished([*words, "-o", "whole.csv", "--workers", "1"], tmp_path)
    again = [*words, "-o", "again.csv", "--workers", "2"]
    for number, moment in ((2, "before"), (1, "after")):
        killed(again, tmp_path, tmp_path / "hooks", "again.csv", number, moment)
    assert len(records.read(tmp_path / "again.csv")) == 2 * 6
    assert finished(again, tmp_path) == ""
    whole, found = (
        sorted(records.read(tmp_path / f"{name}.csv"), key=str) for name in ("whole", "again")
    )
    assert whole == found
    assert len(whole) == 3 * 6
