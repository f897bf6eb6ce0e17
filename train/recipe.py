"""How a model of a task is trained: first in FP32, then quantized, with the FP32 model as its teacher."""

import hashlib
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from golden.bert.calibration import quantize_model
from golden.bert.quantized import QuantizedModel
from golden.bert.tokens import Tokenizer
from golden.bert.weights import model_folder, read_weights
from golden.spec.modes import Mode
from golden.tasks.glue import SIMILARITY, Example
from train import float_model
from train.bert import QuantizedBert
from train.data import Data
from train.export import exported
from train.loop import Report, Settings, features, train
from train.objectives import Objective, data_of
from train.state import Tell

CALIBRATION = 64
"""Training sentences from which scales of activations start."""

FLOAT_SETTINGS = {SIMILARITY: Settings(epochs=3), "sts-b": Settings(epochs=3, rate=1e-4)}
"""For FP32, by task; the others take `Settings(epochs=4, rate=1e-4)`."""

Stage = Callable[[str], None]


@dataclass(frozen=True)
class Recipe:
    """Of one quantized model.

    `clip`: clipping points of weights by least squared error, of activations learned; else the
    largest magnitude, of activations by Q8BERT's moving average. `plain`: Q8BERT's way throughout,
    without a teacher and without learned scales. `scratch`: from the pre-trained model instead of
    the task's fine-tuned one, which implies no teacher.
    """

    task: str
    mode: Mode
    bits: int | None = None
    clip: bool = True
    plain: bool = False
    scratch: bool = False
    settings: Settings = field(default_factory=Settings)

    @property
    def taught(self) -> bool:
        """Whether the fine-tuned model teaches."""
        return not self.plain and not self.scratch


def float_settings(task: str, seed: int = 0) -> Settings:
    """For a task's FP32 model."""
    return replace(FLOAT_SETTINGS.get(task, Settings(epochs=4, rate=1e-4)), seed=seed)


def quantized_settings(mode: Mode, seed: int = 0) -> Settings:
    """For a quantized model: 4-bit activations take longer."""
    settings = Settings(epochs=1, rate=5e-5, seed=seed)
    return replace(settings, epochs=3, rate=1e-4) if mode.x_format.code_width == 4 else settings


def changed(settings: Settings, *, epochs: float | None, rate: float | None) -> Settings:
    """The settings with what is not None."""
    epochs, rate = (
        settings.epochs if epochs is None else epochs,
        settings.rate if rate is None else rate,
    )
    return replace(settings, epochs=epochs, rate=rate)


def float_folder(cache: Path, task: str, examples: Sequence[Example], settings: Settings) -> Path:
    """Where a fine-tuned model is kept, by all that it depends on."""
    content = (
        f"1 {asdict(settings)} {list(examples)} {_digest(model_folder() / float_model.WEIGHTS)}"
    )
    return cache / f"{task}-{hashlib.sha256(content.encode()).hexdigest()[:16]}"


def fine_tune(
    task: str,
    examples: Sequence[Example],
    settings: Settings,
    folder: Path,
    *,
    device: torch.device,
    stage: Stage = lambda text: None,
    report: Report | None = None,
    tell: Tell = lambda text: None,
) -> None:
    """Train the packaged model on a task in FP32 and write it to `folder`; nothing to do where that exists.

    A damaged folder is made again, of which `tell` is told. An interrupted run goes on at the next
    call. Raises TrainingError as `train`.
    """
    if folder.exists():
        fault = float_model.fault(task, folder)
        if fault is None:
            return
        tell(f"{fault}; trained again")
    stage(f"fine-tuning {task} in fp32")
    folder.parent.mkdir(parents=True, exist_ok=True)
    objective = float_model.load(task).to(device)
    data = data_of(task, examples, Tokenizer())
    state = folder.with_name(f"{folder.name}.state")
    train(objective, data, settings, state=state, key=folder.name, report=report, tell=tell)
    float_model.save(objective, folder)
    state.unlink(missing_ok=True)


def start_of(recipe: Recipe, examples: Sequence[Example], folder: Path | None) -> QuantizedModel:
    """The model quantized and not yet trained, from the fine-tuned one in `folder` or the packaged one."""
    tokenizer = Tokenizer()
    sentences = tokenizer.encode_all(example.first for example in examples[:CALIBRATION])
    start = quantize_model(read_weights(folder), recipe.mode, sentences, recipe.clip, recipe.bits)
    if recipe.task == SIMILARITY or folder is None:
        return start
    return replace(start, head=float_model.read_head(recipe.task, folder))


def quantize_aware(
    recipe: Recipe,
    examples: Sequence[Example],
    folder: Path | None,
    *,
    state: Path | None,
    device: torch.device,
    stage: Stage = lambda text: None,
    report: Report | None = None,
    epoch_done: Callable[[int, QuantizedModel], None] | None = None,
    tell: Tell = lambda text: None,
) -> tuple[QuantizedModel, Objective]:
    """Train a quantized model from the one in `folder`, None for the packaged one: for golden, and as it was trained.

    `epoch_done` is told of every epoch but the last, with the model then. `state` is where an
    interrupted training goes on; the state after the last step stays there until the caller removes
    it, so that a stop while the result is evaluated costs no training. `tell` is told of damaged
    files, which are made anew. Raises TrainingError as `train`, ValueError for a state of other
    settings.
    """
    data = data_of(recipe.task, examples, Tokenizer())
    objective = float_model.load(recipe.task, folder).to(device)
    taught = None
    if recipe.taught:
        stage("asking the teacher")
        taught = _taught(objective, data, folder, report, tell)
    stage("calibrating")
    start = start_of(recipe, examples, folder)
    learned = recipe.clip and not recipe.plain
    quantized = QuantizedBert(objective.bert, start, clip=recipe.clip, learned=learned).to(device)
    stage(f"training {recipe.task} in {recipe.mode.name}")
    train(
        objective,
        data,
        recipe.settings,
        taught=taught,
        refit=quantized.fit,
        state=state,
        key=training_key(recipe, examples, folder),
        report=report,
        epoch_done=None
        if epoch_done is None
        else lambda number: epoch_done(number, exported(quantized, objective)),
        tell=tell,
    )
    return exported(quantized, objective.cpu()), objective


def _taught(
    objective: Objective, data: Data, folder: Path | None, report: Report | None, tell: Tell
) -> Tensor:
    """The teacher's features of the data it was trained on, kept beside it: every mode asks for the same."""
    place = None if folder is None else folder / "features.safetensors"
    device = next(objective.parameters()).device
    if place is not None and place.exists():
        try:
            kept = load_file(place)["features"]
            if len(kept) == len(data) * len(data.texts[0]) and bool(kept.isfinite().all()):
                return kept.to(device)
        except (SafetensorError, KeyError, OSError):
            pass
        tell(
            f"{place}: expected features of {len(data)} examples, got a damaged file; computed again"
        )
    result = features(objective, data, report=report)
    if place is not None:
        partial = place.with_name(f".{place.name}.{os.getpid()}")
        save_file({"features": result.cpu()}, partial)
        os.replace(partial, place)
    return result


def training_key(recipe: Recipe, examples: Sequence[Example], folder: Path | None) -> str:
    """What tells one training from another: all that its result depends on."""
    source = model_folder() if folder is None else folder
    content = f"1 {recipe} {list(examples)} {_digest(source / float_model.WEIGHTS)}"
    return hashlib.sha256(content.encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
