"""Training killed with SIGKILL and started again: the result is that of an unbroken run."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open

from golden.bert.weights import PACKAGE, model_folder
from scripts.eval import grid
from tests.support import tiny
from tests.support.killed import finished, killed

pytestmark = pytest.mark.slow

WORDS = (
    "baker",
    "bread",
    "oven",
    "river",
    "morning",
    "woman",
    "fence",
    "bus",
    "noon",
    "cat",
    "sofa",
    "rain",
)
TRAIN, DEV = 512, 6
"""Numbers of examples. In batches of 32, four epochs have 64 steps; a state is kept after 50."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """glue/ with RTE, and packages/ with a tiny model in place of the packaged one."""
    folder = tmp_path_factory.mktemp("train")
    rng = np.random.default_rng(1)
    (folder / "glue" / "RTE").mkdir(parents=True)
    for split, count in (("train", TRAIN), ("dev", DEV)):
        lines = ["sentence1\tsentence2\tlabel"]
        for _ in range(count):
            first, second = (" ".join(rng.choice(WORDS, rng.integers(2, 5))) for _ in range(2))
            lines.append(f"{first}\t{second}\t{rng.choice(['entailment', 'not_entailment'])}")
        (folder / "glue" / "RTE" / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    model = folder / "packages" / PACKAGE / "model"
    model.mkdir(parents=True)
    (model.parent / "__init__.py").touch()
    shutil.copy(model_folder() / "tokenizer.json", model)
    config = replace(tiny.CONFIG, vocabulary=30522, positions=64, max_tokens=32)
    fields = tiny.config_fields(config) | {"model_type": "bert", "type_vocab_size": 2}
    tiny.write_folder(model, tiny.state_dict(tiny.tiny_weights(config=config)), fields)
    (model / "sentence_bert_config.json").write_text('{"max_seq_length": 32}')
    return folder


def surroundings(folder: Path, cache: str) -> dict[str, str]:
    """Environment with its own cache, so that runs share nothing."""
    return {"TILEBERT_CACHE": str(folder / cache), "PYTHONPATH": str(folder / "packages")}


def without_times(path: Path) -> dict[str, Any]:
    record = json.loads(path.read_text())
    assert record.pop("seconds") > 0
    return record


def test_a_training_goes_on(folder: Path, tmp_path: Path) -> None:
    words = ["train", "--task", "rte", "--glue", "glue", "--mode", "w4a8", "--epochs", "4"]
    finished(
        [*words, "-o", "whole.st", "--json", "whole.json"], folder, **surroundings(folder, "whole")
    )
    again = [*words, "-o", "again.st", "--json", "again.json"]
    # Kill during FP32 training, during 4-bit training, and just before the record is written.
    for pattern, moment in (
        ("rte-*.state", "after"),
        ("again.st.state", "after"),
        ("again.json", "before"),
    ):
        killed(
            again, folder, tmp_path / "hooks", pattern, 1, moment, **surroundings(folder, "again")
        )
        assert not (folder / "again.json").exists()
    finished(again, folder, **surroundings(folder, "again"))
    assert without_times(folder / "again.json") == without_times(folder / "whole.json")
    assert sorted(path.name for path in folder.iterdir() if "again." in path.name) == [
        "again.json",
        "again.st",
    ]
    assert content(folder / "again.st") == content(folder / "whole.st")


def content(path: Path) -> dict[str, Any]:
    """Metadata of a checkpoint, and every tensor's type, shape and bytes."""
    with safe_open(path, "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    assert len(tensors) > 20
    parts = {
        name: (array.dtype.str, array.shape, array.tobytes()) for name, array in tensors.items()
    }
    return {"metadata": metadata, **parts}


def test_a_table_goes_on(folder: Path, tmp_path: Path) -> None:
    words = [
        "table",
        "--glue",
        "glue",
        "--task",
        "rte",
        "--row",
        "fp32",
        "--row",
        "w4a8",
        "--epochs",
        "4",
    ]
    finished(
        [*words, "--records", "whole.jsonl", "--workers", "1"],
        folder,
        **surroundings(folder, "whole"),
    )
    again = [*words, "--records", "again.jsonl", "--workers", "2"]
    # Kill in a worker, during the second cell.
    killed(
        again,
        folder,
        tmp_path / "hooks",
        "rte-w4a8*.state",
        1,
        "after",
        **surroundings(folder, "table"),
    )
    assert len(grid.read_records(folder / "again.jsonl")) == 1
    finished(again, folder, **surroundings(folder, "table"))
    whole, found = (grid.read_records(folder / f"{name}.jsonl") for name in ("whole", "again"))
    assert whole == found
    assert len(whole) == 2
