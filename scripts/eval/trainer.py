"""Training setup: packages of the optional extra `train`, the device, and FP32 start models."""

from pathlib import Path
from typing import Any

from golden.tasks.glue import Example
from scripts.console import Bar, tell
from sim.cache import cache_folder


def load_trainer() -> Any:
    """The module train.recipe; raises ValueError that names a missing package."""
    try:
        from train import recipe
    except ImportError as error:
        raise ValueError(f"train: expected the package {error.name}; make .venv/train") from None
    return recipe


def training_device(name: str) -> Any:
    """PyTorch's device of that name; raises ValueError that names the option."""
    import torch

    if name not in ("cpu", "cuda"):
        raise ValueError(f"--device: expected cpu or cuda, got {name!r}")
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device: expected one that PyTorch finds, got cuda")
    return torch.device(name)


def fine_tuned(task: str, examples: list[Example], seed: int, device: Any, bar: Bar) -> Path:
    """The folder of a task's FP32 model, which is trained now unless it is in the cache."""
    recipes = load_trainer()
    settings = recipes.float_settings(task, seed)
    folder: Path = recipes.float_folder(cache_folder() / "training", task, examples, settings)
    recipes.fine_tune(
        task,
        examples,
        settings,
        folder,
        device=device,
        stage=bar.stage,
        report=reporter(bar),
        tell=tell,
    )
    return folder


def reporter(bar: Bar) -> Any:
    """Callback that shows steps and loss on the bar."""

    def report(done: Any) -> None:
        bar(done.step / done.steps, f"step {done.step} of {done.steps}, loss {done.loss:.4f}")

    return report
