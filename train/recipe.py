"""Training recipes: first FP32, then quantized with the FP32 model as the teacher."""

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

__all__ = [
    "CALIBRATION",
    "FLOAT_SETTINGS",
    "Recipe",
    "Stage",
    "changed",
    "fine_tune",
    "float_folder",
    "float_settings",
    "quantize_aware",
    "quantized_settings",
    "start_of",
    "training_key",
]

CALIBRATION = 64
"""Training sentences for the initial scales of activations."""

FLOAT_SETTINGS = {SIMILARITY: Settings(epochs=3), "sts-b": Settings(epochs=3, rate=1e-4)}
"""Settings of FP32 training by task; other tasks use `Settings(epochs=4, rate=1e-4)`."""

Stage = Callable[[str], None]
"""Called with a description when a stage of the training begins."""


@dataclass(frozen=True)
class Recipe:
    """Recipe of a quantized model.

    `clip`: clipping points of weights minimise the squared error and those of activations are
    learned. Otherwise they are the largest magnitudes, for activations by Q8BERT's moving average.
    `plain`: Q8BERT's training, without a teacher and without learned scales. `scratch`: start from
    the pre-trained model instead of the task's fine-tuned one, which implies no teacher.
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
        """Whether the fine-tuned model is the teacher."""
        return not self.plain and not self.scratch


def float_settings(task: str, seed: int = 0) -> Settings:
    """Settings of a task's FP32 training."""
    return replace(FLOAT_SETTINGS.get(task, Settings(epochs=4, rate=1e-4)), seed=seed)


def quantized_settings(mode: Mode, seed: int = 0) -> Settings:
    """Settings of quantized training; 4-bit activations take more epochs."""
    settings = Settings(epochs=1, rate=5e-5, seed=seed)
    return replace(settings, epochs=3, rate=1e-4) if mode.x_format.code_width == 4 else settings


def changed(settings: Settings, *, epochs: float | None, rate: float | None) -> Settings:
    """Settings with `epochs` and `rate` replaced where not None."""
    epochs, rate = (
        settings.epochs if epochs is None else epochs,
        settings.rate if rate is None else rate,
    )
    return replace(settings, epochs=epochs, rate=rate)


def float_folder(cache: Path, task: str, examples: Sequence[Example], settings: Settings) -> Path:
    """Folder of a fine-tuned model, named by everything that it depends on."""
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
    """Fine-tune the packaged model on a task in FP32 and write it to `folder`, unless it exists.

    A damaged folder is made again after a message to `tell`. An interrupted training continues at
    the next call. Raises TrainingError as `train`.
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
    """Quantized model before training, from the model in `folder` or the packaged one."""
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
    """Train a quantized model from the model in `folder`, None for the packaged one.

    Returns the model for golden and the trained objective. `epoch_done` is called with the number
    of each finished epoch but the last, and the model at its end. `state` is the file from which an
    interrupted training continues. It remains after the last step until the caller removes it, so
    that an interrupted evaluation does not repeat the training. `tell` is called with a message
    about each damaged file, which is made again. Raises TrainingError as `train`, ValueError for a
    state with other settings.
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
    """The teacher's features of its training data, cached in its folder for all modes."""
    path = None if folder is None else folder / "features.safetensors"
    device = next(objective.parameters()).device
    if path is not None and path.exists():
        try:
            kept = load_file(path)["features"]
            if len(kept) == len(data) * len(data.texts[0]) and bool(kept.isfinite().all()):
                return kept.to(device)
        except (SafetensorError, KeyError, OSError):
            pass
        tell(
            f"{path}: expected features of {len(data)} examples, got a damaged file; computed again"
        )
    result = features(objective, data, report=report)
    if path is not None:
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        save_file({"features": result.cpu()}, partial)
        os.replace(partial, path)
    return result


def training_key(recipe: Recipe, examples: Sequence[Example], folder: Path | None) -> str:
    """Key of a training: a hash of everything that its result depends on."""
    source = model_folder() if folder is None else folder
    content = f"1 {recipe} {list(examples)} {_digest(source / float_model.WEIGHTS)}"
    return hashlib.sha256(content.encode()).hexdigest()


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
