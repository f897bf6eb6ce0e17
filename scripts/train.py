"""`tilebert train`: quantization-aware training of the real BERT on a task, to a checkpoint."""

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from golden import checkpoint
from golden.glue import TASK_NAMES, Example, read_examples, task_of
from golden.modes import mode
from scripts import options
from scripts.accuracy import describe, of_float, of_model
from scripts.console import Bar, out, progress
from scripts.files import check_place, write_json
from sim.toolchain import cache_folder

Task = Annotated[str, typer.Option("--task", help=f"One of {', '.join(TASK_NAMES)}.")]


def train(
    task: Task,
    glue: options.Glue,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the checkpoint goes, .safetensors.")],
    mode_name: options.OneMode = "w8a8",
    exponent_bits: options.ExponentBits = 4,
    bits: options.Bits = None,
    clip: Annotated[
        bool, typer.Option(help="Clip weights where the squared error is least, learn to clip activations.")
    ] = True,
    plain: Annotated[
        bool, typer.Option("--plain", help="Q8BERT's way alone: no teacher, no learned scales.")
    ] = False,
    from_scratch: Annotated[
        bool, typer.Option("--from-scratch", help="Start from the pre-trained model, not from a fine-tuned one.")
    ] = False,
    epochs: Annotated[int | None, typer.Option(help="Passes over the data; by default the mode's.")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate; by default the mode's.")] = None,
    seed: Annotated[int, typer.Option(help="Of the order of examples and of dropout.")] = 0,
    limit: Annotated[int | None, typer.Option(help="Train and evaluate on the first so many examples.")] = None,
    device: Annotated[str, typer.Option(help="What trains: cpu or cuda.")] = "cpu",
    json_file: options.JsonFile = None,
) -> None:
    """Train all-MiniLM-L6-v2 on a task: in FP32, kept for the next time, then quantized with that as its teacher.

    An interrupted training goes on when the command is repeated. The metric is golden's, on the dev split.
    """
    from_float = not from_scratch
    chosen = mode(mode_name, exponent_bits)
    kind = task_of(task)
    for name, number in (("--epochs", epochs), ("--limit", limit)):
        if number is not None and number < 2 - (name == "--epochs"):
            raise ValueError(f"{name}: expected {2 - (name == '--epochs')} or more, got {number}")
    if rate is not None and not 0 < rate < 1:
        raise ValueError(f"--rate: expected a number between 0 and 1, got {rate}")
    check_place(output, "--output")
    check_place(json_file, "--json")
    examples = {split: read(task, glue, split, limit) for split in ("train", "dev")}
    recipes = load_trainer()
    settings = recipes.quantized_settings(chosen, seed)
    settings = recipes.changed(settings, epochs=epochs, rate=rate)
    recipe = recipes.Recipe(task, chosen, bits, clip, plain, from_scratch, settings)
    where = training_device(device)
    started = time.perf_counter()
    record: dict[str, Any] = {"task": task, "mode": mode_name, "bits": bits, "clip": clip, "plain": plain}
    record |= {"from_scratch": from_scratch, "seed": seed, "epochs": settings.epochs, "rate": settings.rate}
    with progress() as bar:
        folder = None
        if from_float:
            folder = fine_tuned(task, examples["train"], seed, where, bar)
            record["fp32"] = of_float(task, folder, examples["dev"], bar)
        model = recipes.quantize_aware(
            recipe,
            examples["train"],
            folder,
            state=output.with_name(f"{output.name}.state"),
            device=where,
            stage=bar.stage,
            report=reporter(bar),
        )
        checkpoint.save(model, output)
        record["trained"] = of_model(task, model, examples["dev"], bar)
    record["seconds"] = time.perf_counter() - started
    write_json(json_file, record)
    out.print(f"{output}: {output.stat().st_size / 1e6:.1f} MB, {task} in {mode_name}")
    for what in ("fp32", "trained"):
        if what in record:
            out.print(f"{what:8}{describe(record[what])} on dev, {len(examples['dev']):,} examples")
    if not from_float:
        out.print(f"trained from the pre-trained model, {kind.metrics[0]} as above")


def read(task: str, glue: Path, split: str, limit: int | None = None) -> list[Example]:
    """The first `limit` examples of a split (None for all); raises ValueError that names the option."""
    try:
        return read_examples(task_of(task), glue, split)[:limit]
    except (OSError, ValueError) as error:
        raise ValueError(f"--glue: {error}") from None


def load_trainer() -> Any:
    """train.recipe, whose packages are an extra; raises ValueError that names them."""
    try:
        from train import recipe
    except ImportError as error:
        raise ValueError(f"train: expected the package {error.name}; pip install 'tilebert[train]'") from None
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
    """The folder of a task's FP32 model, trained now or before."""
    recipes = load_trainer()
    settings = recipes.float_settings(task, seed)
    folder: Path = recipes.float_folder(cache_folder() / "training", task, examples, settings)
    bar.stage(f"fine-tuning {task} in fp32")
    recipes.fine_tune(task, examples, settings, folder, device=device, report=reporter(bar))
    return folder


def reporter(bar: Bar) -> Any:
    """Steps and loss on the bar."""

    def report(done: Any) -> None:
        bar(done.step / done.steps, f"step {done.step} of {done.steps}, loss {done.loss:.4f}")

    return report
