"""Training loop: reproducible by seed, unchanged by interruptions, and stopped by bad losses."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from golden.bert.calibration import quantize_model
from golden.bert.tokens import Tokens
from golden.spec.modes import mode
from golden.tasks.glue import TASKS
from tests.support.tiny import config_fields, state_dict, tiny_weights
from train.bert import QuantizedBert
from train.data import Data
from train.errors import TrainingError
from train.loop import Progress, Settings, features, train
from train.objectives import Headed, Objective, Similarity

RANDOM = np.random.default_rng(5)

TEXTS = [
    Tokens((1, *RANDOM.integers(3, 50, size).tolist(), 2), (0,) * (size + 2))
    for size in RANDOM.integers(1, 9, 22)
]

PAIRS = Data(
    list(zip(TEXTS[0::2], TEXTS[1::2], strict=True)),
    [float(score) for score in RANDOM.uniform(0, 5, 11)],
)
SINGLES = Data([(text,) for text in TEXTS], [float(label) for label in RANDOM.integers(0, 2, 22)])

SETTINGS = Settings(epochs=2, batch=4, rate=1e-3)


def tower() -> transformers.BertModel:
    fields = transformers.BertConfig(**config_fields(), type_vocab_size=2)
    bert = transformers.BertModel(fields, add_pooling_layer=False)
    bert.load_state_dict(
        {name: torch.from_numpy(array) for name, array in state_dict(tiny_weights()).items()}
    )
    return bert


def quantized(name: str = "w8a8", *, learned: bool = False) -> tuple[Similarity, QuantizedBert]:
    bert = tower()
    start = quantize_model(tiny_weights(), mode(name), [text.ids for text in TEXTS])
    return Similarity(bert), QuantizedBert(bert, start, learned=learned)


def weights(objective: Objective) -> dict[str, torch.Tensor]:
    return {
        name: tensor.clone()
        for name, tensor in objective.state_dict().items()
        if torch.is_tensor(tensor)
    }


def test_batches_hold_every_example_once() -> None:
    epochs = [PAIRS.batches(4, seed=0, epoch=epoch) for epoch in (0, 1)]
    for batches in epochs:
        assert sorted(index for batch in batches for index in batch.indices.tolist()) == list(
            range(11)
        )
    orders = [[batch.indices.tolist() for batch in batches] for batches in epochs]
    assert orders[0] != orders[1]
    assert orders[0] == [batch.indices.tolist() for batch in PAIRS.batches(4, seed=0, epoch=0)]
    assert orders[0] != [batch.indices.tolist() for batch in PAIRS.batches(4, seed=1, epoch=0)]


def test_a_batch_has_first_texts_before_second_ones() -> None:
    batch = PAIRS.batch([3, 0])
    texts = [PAIRS.texts[3][0], PAIRS.texts[0][0], PAIRS.texts[3][1], PAIRS.texts[0][1]]
    for row, text in enumerate(texts):
        size = len(text.ids)
        assert batch.ids[row, :size].tolist() == list(text.ids)
        assert batch.mask[row].tolist() == [1] * size + [0] * (batch.ids.shape[1] - size)
    assert batch.labels.tolist() == pytest.approx([PAIRS.labels[3], PAIRS.labels[0]])


def test_features_are_in_the_data_s_order() -> None:
    objective = Similarity(tower()).eval()
    got = features(objective, PAIRS, batch=4)
    with torch.no_grad():
        for index in range(len(PAIRS)):
            first, second = objective.features(PAIRS.batch([index]))
            torch.testing.assert_close(got[index], first, rtol=0, atol=1e-5)
            torch.testing.assert_close(got[index + len(PAIRS)], second, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", ["w4a4", "wlog-alog"])
def test_training_comes_nearer_to_the_teacher(name: str) -> None:
    taught = features(Similarity(tower()), PAIRS)
    objective, model = quantized(name, learned=True)
    apart = [objective.distance(features(objective, PAIRS), taught).item()]
    train(objective, PAIRS, Settings(epochs=20, batch=4, rate=1e-3), taught=taught, refit=model.fit)
    apart.append(objective.distance(features(objective, PAIRS), taught).item())
    assert apart[1] < 0.7 * apart[0]


def test_a_head_learns_its_labels() -> None:
    torch.manual_seed(1)
    objective = Headed(tower(), TASKS["sst-2"])
    train(objective, SINGLES, Settings(epochs=40, batch=8, rate=3e-3))
    with torch.no_grad():
        outputs = torch.cat(
            [objective.outputs(SINGLES.batch([index])) for index in range(len(SINGLES))]
        )
    assert outputs.argmax(1).tolist() == [int(label) for label in SINGLES.labels]


def test_a_head_is_as_far_from_its_teacher_as_its_outputs() -> None:
    objective = Headed(tower(), TASKS["mrpc"])
    taught = features(objective, SINGLES)
    assert objective.distance(taught, taught).item() == pytest.approx(0, abs=1e-6)
    assert objective.distance(taught.flip(0), taught).item() > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("learned", [False, True], ids=["followed", "learned"])
def test_an_interrupted_training_goes_on(learned: bool, tmp_path: Path) -> None:
    results, counts = [], []
    for stop in (None, 4):
        objective, model = quantized("wpw-a8", learned=learned)
        state = tmp_path / f"{stop}.state"
        steps: list[Progress] = []

        def report(done: Progress, stop: int | None = stop, steps: list[Progress] = steps) -> None:
            steps.append(done)
            if done.step == stop and len(steps) == stop:
                raise InterruptedError

        options = {
            "refit": model.fit,
            "state": state,
            "key": "k",
            "report": report,
            "keep_every": 2,
        }
        if stop is not None:
            with pytest.raises(InterruptedError):
                train(objective, PAIRS, SETTINGS, **options)
            assert state.exists()
            objective, model = quantized("wpw-a8", learned=learned)
            options["refit"] = model.fit
        train(objective, PAIRS, SETTINGS, **options)
        results.append(weights(objective))
        counts.append([done.step for done in steps])
    assert counts == [[1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6]]
    assert results[0].keys() == results[1].keys()
    for name, tensor in results[0].items():
        assert torch.equal(tensor, results[1][name]), name


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops(value: float, tmp_path: Path) -> None:
    objective, model = quantized()
    kept = {}

    def spoil(done: Progress) -> None:
        if done.step == 3:
            kept.update(torch.load(tmp_path / "x.state", weights_only=True)["model"])
            with torch.no_grad():
                next(iter(objective.bert.encoder.layer[1].output.LayerNorm.parameters())).fill_(
                    value
                )

    with pytest.raises(
        TrainingError, match=r"^loss: expected a number, got nan in step 4 of 6; .*x\.state holds"
    ):
        train(
            objective,
            PAIRS,
            SETTINGS,
            refit=model.fit,
            state=tmp_path / "x.state",
            key="k",
            report=spoil,
            keep_every=2,
        )
    content = torch.load(tmp_path / "x.state", weights_only=True)
    assert content["step"] == 2
    assert all(
        tensor.isfinite().all() for tensor in content["model"].values() if torch.is_tensor(tensor)
    )


@pytest.mark.parametrize(("epochs", "steps"), [(0.5, 2), (1, 3), (1.4, 4), (0.01, 1)])
def test_a_part_of_an_epoch(epochs: float, steps: int) -> None:
    objective, _ = quantized()
    calls: list[Progress] = []
    train(objective, PAIRS, Settings(epochs=epochs, batch=4), report=calls.append)
    assert [(done.step, done.steps) for done in calls] == [
        (step + 1, steps) for step in range(steps)
    ]
