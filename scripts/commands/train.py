"""`tilebert train`: quantization-aware training of the real BERT on a task; writes a checkpoint."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from golden.bert import checkpoint
from golden.bert.calibration import with_bits
from golden.bert.quantized import QuantizedModel
from golden.tasks.glue import TASK_NAMES, task_of
from scripts import options
from scripts.builds import stated_mode
from scripts.console import err, out, progress, tell
from scripts.eval.accuracy import describe, of_float, of_model, read
from scripts.eval.trainer import fine_tuned, load_trainer, reporter, training_device
from scripts.files import check_places, is_stream, write_bytes, write_json

COMPARED = 200
"""Examples of the dev split on which golden is compared with the trained model."""

Task = Annotated[str, typer.Option("--task", help=f"One of {', '.join(TASK_NAMES)}.")]


def train(
    task: Task,
    glue: options.Glue,
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Where the checkpoint goes, .safetensors.")
    ],
    mode_name: options.OneMode = "w8a8",
    exponent_bits: options.ExponentBits = None,
    bits: options.Bits = None,
    clip: Annotated[
        bool,
        typer.Option(
            help="Clip weights where the squared error is least, learn to clip activations."
        ),
    ] = True,
    plain: Annotated[
        bool, typer.Option("--plain", help="Q8BERT's way alone: no teacher, no learned scales.")
    ] = False,
    from_scratch: Annotated[
        bool,
        typer.Option(
            "--from-scratch", help="Start from the pre-trained model, not from a fine-tuned one."
        ),
    ] = False,
    epochs: options.Epochs = None,
    rate: Annotated[
        float | None, typer.Option(help="Learning rate; by default the mode's.")
    ] = None,
    seed: options.TrainingSeed = 0,
    limit: options.TrainLimit = None,
    device: Annotated[str, typer.Option(help="What trains: cpu or cuda.")] = "cpu",
    json_file: options.JsonFile = None,
) -> None:
    """Train all-MiniLM-L6-v2 on a task in FP32, then quantized with that model as its teacher.

    The FP32 model is kept for later trainings. If a training is interrupted, the same command
    continues it; if only the evaluation was left, only that runs. Golden computes the metric on the
    dev split.
    """
    from_float = not from_scratch
    chosen = stated_mode(mode_name, exponent_bits)
    if bits is not None:
        with_bits(chosen, bits)
    task_of(task)
    options.check_training(epochs, rate, limit)
    check_places(output=output, json=json_file)
    examples = {split: read(task, glue, split, limit) for split in ("train", "dev")}
    recipes = load_trainer()
    from train.agreement import agreement as compare

    settings = recipes.quantized_settings(chosen, seed)
    settings = recipes.changed(settings, epochs=epochs, rate=rate)
    recipe = recipes.Recipe(task, chosen, bits, clip, plain, from_scratch, settings)
    where = training_device(device)
    started = time.perf_counter()
    record: dict[str, Any] = {
        "task": task,
        "mode": chosen.name,
        "bits": bits,
        "clip": clip,
        "plain": plain,
    }
    record |= {
        "from_scratch": from_scratch,
        "seed": seed,
        "epochs": settings.epochs,
        "rate": settings.rate,
    }
    # The state is saved beside the checkpoint, which is impossible if the output is a pipe.
    state = None if is_stream(output) else output.with_name(f"{output.name}.state")
    with progress(lines=True) as bar:
        folder = None

        def told(epoch: int, model: QuantizedModel) -> None:
            figures = of_model(task, model, examples["dev"], bar)
            err.print(f"after epoch {epoch}: {describe(figures)}", soft_wrap=True)
            bar.stage(f"training {task} in {chosen.name}")

        if from_float:
            folder = fine_tuned(task, examples["train"], seed, where, bar)
            record["fp32"] = of_float(task, folder, examples["dev"], bar)
        model, objective = recipes.quantize_aware(
            recipe,
            examples["train"],
            folder,
            state=state,
            device=where,
            stage=bar.stage,
            report=reporter(bar),
            epoch_done=told,
            tell=tell,
        )
        content = checkpoint.to_bytes(model)
        write_bytes(output, "--output", content)
        record["trained"] = of_model(task, model, examples["dev"], bar)
        bar.stage("comparing golden with PyTorch")
        same = compare(task, objective, model, examples["dev"][:COMPARED], bar)
        record["agreement"] = asdict(same)
    record["seconds"] = time.perf_counter() - started
    write_json(json_file, record)
    # All results are written, so the saved state is not needed any more.
    if state is not None:
        state.unlink(missing_ok=True)
    out.print(f"{output}: {len(content) / 1e6:.1f} MB, {task} in {chosen.name}")
    out.print(
        f"{same.same} of {same.examples} predictions of golden are the trained model's, "
        f"outputs differ by {same.largest:.1e} at most",
        soft_wrap=True,
    )
    for what in ("fp32", "trained"):
        if what in record:
            out.print(f"{what:8}{describe(record[what])} on dev, {len(examples['dev']):,} examples")
