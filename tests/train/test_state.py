"""Training states: finished, damaged, with other settings, on a full disk."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.train.test_loop import PAIRS, SETTINGS, quantized, tower, weights
from train import loop
from train.errors import TrainingError
from train.loop import Progress, train
from train.objectives import Similarity
from train.recipe import _taught


def test_what_is_done_is_not_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "x.state"
    results = []
    for _ in range(2):
        objective, model = quantized(learned=True)
        train(objective, PAIRS, SETTINGS, refit=model.fit, state=state, key="k")
        results.append(weights(objective))
        assert list(tmp_path.iterdir()) == [state]
        monkeypatch.setattr(loop, "_step", None)
    for name, tensor in results[0].items():
        assert torch.equal(tensor, results[1][name]), name


def test_a_state_of_other_settings_is_refused(tmp_path: Path) -> None:
    objective, _ = quantized()
    torch.save({"key": "other"}, tmp_path / "x.state")
    with pytest.raises(
        ValueError, match=r"x\.state: expected a state of the same training, got one with other"
    ):
        train(objective, PAIRS, SETTINGS, state=tmp_path / "x.state", key="k")


def text_of(state: Path) -> None:
    state.write_text("no state")


def emptied(state: Path) -> None:
    state.write_bytes(b"")


def cut(state: Path) -> None:
    state.write_bytes(state.read_bytes()[:-2000])


def flipped(state: Path) -> None:
    """Flip a bit of the weights."""
    content = bytearray(state.read_bytes())
    content[len(content) // 2] ^= 4
    state.write_bytes(content)


def a_list(state: Path) -> None:
    torch.save(["k"], state)


def without_weights(state: Path) -> None:
    torch.save({"key": "k", "step": 4}, state)


def of_another_shape(state: Path) -> None:
    """The model's part fits and the optimizer's does not: the model must be restored."""
    content = torch.load(state, weights_only=True)
    content["optimizer"]["param_groups"] = []
    torch.save(content, state)


@pytest.mark.parametrize(
    "damage",
    [text_of, emptied, cut, flipped, a_list, without_weights, of_another_shape],
    ids=lambda f: f.__name__,
)
def test_a_damaged_state_is_told_and_training_begins_anew(
    damage: Callable[[Path], None], tmp_path: Path
) -> None:
    state = tmp_path / "x.state"
    objective, model = quantized()
    train(objective, PAIRS, SETTINGS, refit=model.fit, state=state, key="k")
    expected = weights(objective)
    damage(state)
    objective, model = quantized()
    told: list[str] = []
    steps: list[Progress] = []
    train(
        objective,
        PAIRS,
        SETTINGS,
        refit=model.fit,
        state=state,
        key="k",
        report=steps.append,
        tell=told.append,
    )
    assert len(told) == 1
    assert told[0].startswith(f"{state}: expected a training's state, got a damaged file (")
    assert told[0].endswith("; training begins anew")
    assert "\n" not in told[0]
    assert [done.step for done in steps] == [1, 2, 3, 4, 5, 6]
    for name, tensor in weights(objective).items():
        assert torch.equal(tensor, expected[name]), name


def test_a_state_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Training ends with a one-line error; the previous state remains."""
    state = tmp_path / "x.state"

    def full(content: object, path: Path) -> None:
        path.write_bytes(b"a part")
        raise OSError(28, "No space left on device")

    objective, _ = quantized()
    report = lambda done: done.step == 3 and monkeypatch.setattr(torch, "save", full)  # noqa: E731
    with pytest.raises(
        TrainingError, match=r"x\.state: expected a writable place .*No space left on device\)$"
    ):
        train(objective, PAIRS, SETTINGS, state=state, key="k", report=report, keep_every=2)
    assert torch.load(state, weights_only=True)["step"] == 2
    assert list(tmp_path.iterdir()) == [state]


@pytest.mark.parametrize(
    "content", [b"", b"cut short", None], ids=["empty", "cut", "of other data"]
)
def test_damaged_features_of_a_teacher_are_computed_again(
    content: bytes | None, tmp_path: Path
) -> None:
    place = tmp_path / "features.safetensors"
    told: list[str] = []
    objective = Similarity(tower())
    expected = _taught(objective, PAIRS, tmp_path, None, told.append)
    assert torch.equal(_taught(objective, PAIRS, tmp_path, None, told.append), expected)
    assert told == []
    if content is None:
        save_file({"features": expected[1:].clone()}, place)
    else:
        place.write_bytes(content)
    assert torch.equal(_taught(objective, PAIRS, tmp_path, None, told.append), expected)
    assert told == [
        f"{place}: expected features of 11 examples, got a damaged file; computed again"
    ]
    assert torch.equal(load_file(place)["features"], expected)
