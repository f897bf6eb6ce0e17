"""The project's own checkpoints: present, small and used by commands."""

import json
from pathlib import Path

import pytest

from golden.bert.evaluation import evaluate_sts
from golden.bert.quantized import quantized_encoder
from golden.bert.tokens import Tokenizer
from golden.schedule.backend import golden_backend
from golden.spec.modes import mode
from golden.tasks.glue import Example
from scripts.cli import run
from scripts.models import CHECKPOINTS, load_model, origin, shipped

MODES = ["w8a8", "w4a8", "w4a4", "wlog-a8", "wpw-a8"]

PAIRS = [
    Example("A baker puts the bread into the oven.", "The baker is putting bread in an oven.", 4.8),
    Example("Two boys in red play chess.", "Two boys are playing a game of chess.", 4.2),
    Example("The river froze last night.", "The river was frozen by morning.", 3.9),
    Example("A woman paints a fence.", "A woman is painting a portrait.", 2.1),
    Example("The bus leaves at noon.", "A cat sleeps on the sofa.", 0.2),
    Example("Rain is expected on Sunday.", "The printer is out of paper.", 0.0),
]


def test_all_together_are_small() -> None:
    files = sorted(CHECKPOINTS.glob("*.safetensors"))
    assert [path.stem for path in files] == sorted(f"similarity-{name}" for name in MODES)
    assert sum(path.stat().st_size for path in files) <= 40_000_000


@pytest.mark.slow
@pytest.mark.parametrize("name", MODES)
def test_a_trained_model_is_the_default(name: str) -> None:
    model = load_model(mode(name))
    assert (
        origin(mode(name), None, post_training=False)
        == f"checkpoints/similarity-{name}.safetensors"
    )
    assert origin(mode(name), None, post_training=True) == "post-training"
    found = evaluate_sts(quantized_encoder(model, golden_backend), Tokenizer(), PAIRS)
    assert found.pearson > 90
    untrained = load_model(mode(name), trained=False)
    assert any(
        (dense.codes != other.dense[part].codes).any()
        for layer, other in zip(model.layers, untrained.layers, strict=True)
        for part, dense in layer.dense.items()
    )


def test_other_modes_have_none() -> None:
    assert shipped(mode("wlog-alog")) is None
    assert shipped(mode("wlog-a8", 3)) is None


@pytest.mark.slow
def test_bert_says_which_model_it_used(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    records = {}
    for option in ("", "--post-training"):
        path = tmp_path / f"r{option}.json"
        words = ["bert", PAIRS[0].first, str(PAIRS[0].second), "--json", str(path), *option.split()]
        assert run(words) == 0
        records[option] = json.loads(path.read_text())
        assert f"model: {records[option]['model']}" in capfd.readouterr().out
    assert records[""]["model"] == "checkpoints/similarity-w8a8.safetensors"
    assert records["--post-training"]["model"] == "post-training"
    assert records[""]["similarity"] != records["--post-training"]["similarity"]
    words = ["bert", "A dog.", "--post-training", "--checkpoint", "x.safetensors"]
    assert run(words) == 2
    assert "--post-training: expected without --checkpoint" in capfd.readouterr().err
