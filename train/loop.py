"""Training loop: steps, learning rates, kept states, and a stop at a loss that is not finite."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from train.data import Batch, Data
from train.errors import TrainingError
from train.objectives import Objective
from train.quantizers import parameters_of_scales
from train.state import Tell, keep, resumed

__all__ = ["LABELS", "SCALE_RATE", "Progress", "Report", "Settings", "features", "train"]

SCALE_RATE = 5e-3
"""Learning rate of the scales' logarithms, so their steps are relative."""

LABELS = 0.2
"""Weight of the labels' loss beside a teacher's features, which contain more information."""


@dataclass(frozen=True)
class Settings:
    """Training settings.

    `epochs` may be fractional, `batch` is in examples, `rate` is the learning rate, `warm_up` the
    fraction of the steps with a rising rate, `decay` the weight decay.
    """

    epochs: float = 1
    batch: int = 32
    rate: float = 5e-5
    warm_up: float = 0.1
    decay: float = 0.01
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """Progress of training: the completed step, the number of steps, and the average loss.

    The loss is an exponential moving average.
    """

    step: int
    steps: int
    loss: float


Report = Callable[[Progress], None]


def train(
    objective: Objective,
    data: Data,
    settings: Settings,
    *,
    taught: Tensor | None = None,
    refit: Callable[[], None] | None = None,
    state: Path | None = None,
    key: str = "",
    report: Report | None = None,
    epoch_done: Callable[[int], None] | None = None,
    tell: Tell = lambda text: None,
    keep_every: int = 50,
) -> None:
    """Train an objective in place, on its device.

    `taught` contains a teacher's features of all texts, [T * len(data), hidden], first texts before
    second texts; with it dropout is off. `refit` recomputes the scales of weights, every
    `keep_every` steps and at the end of an epoch. `epoch_done` is called with the number of each
    finished epoch but the last. `state` is a file from which training continues if it exists and
    was written under the same `key`; `tell` is called with a message if it is damaged. The state
    after the last step remains: the caller removes it after saving the result. Raises TrainingError
    for a loss that is not finite; the last state before it remains.
    """
    torch.manual_seed(settings.seed)
    device = next(objective.parameters()).device
    optimizer = _optimizer(objective, settings)
    per_epoch = math.ceil(len(data) / settings.batch)
    steps = max(1, round(per_epoch * settings.epochs))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: _rate(step, steps, settings.warm_up)
    )
    parts: dict[str, Any] = {"model": objective, "optimizer": optimizer, "schedule": schedule}
    begin, average = resumed(state, key, parts, tell)
    objective.train()
    if taught is not None:
        for module in objective.modules():
            if isinstance(module, nn.Dropout):
                module.p = 0.0
    for epoch in range(begin // per_epoch, math.ceil(steps / per_epoch)):
        batches = data.batches(settings.batch, settings.seed, epoch)[: steps - epoch * per_epoch]
        for step, batch in enumerate(batches, epoch * per_epoch):
            if step < begin:
                continue
            loss = _step(objective, batch.to(device), optimizer, taught)
            if not math.isfinite(loss):
                kept = (
                    ""
                    if state is None or not state.exists()
                    else f"; {state} holds the last good state"
                )
                raise TrainingError(
                    f"loss: expected a number, got {loss} in step {step + 1} of {steps}{kept}"
                )
            schedule.step()
            average = loss if step == 0 else 0.95 * average + 0.05 * loss
            last = step + 1 == steps
            if (step + 1) % keep_every == 0 or last:
                if refit is not None:
                    refit()
                if state is not None:
                    keep(state, key, parts, step + 1, average)
            if report is not None:
                report(Progress(step + 1, steps, average))
        if epoch_done is not None and (epoch + 1) * per_epoch < steps:
            if refit is not None:
                refit()
            epoch_done(epoch + 1)
    objective.eval()


def features(
    objective: Objective, data: Data, batch: int = 64, report: Report | None = None
) -> Tensor:
    """The objective's features of all texts, [T * len(data), hidden].

    First texts precede second texts.
    """
    objective.eval()
    device = next(objective.parameters()).device
    size, per_example = len(data), len(data.texts[0])
    result: Tensor | None = None
    done = 0
    with torch.no_grad():
        for part in data.in_order(batch):
            got = objective.features(part.to(device))
            result = got.new_empty(size * per_example, got.shape[1]) if result is None else result
            for text, rows in enumerate(got.chunk(per_example)):
                result[part.indices.to(device) + text * size] = rows
            done += len(part.labels)
            if report is not None:
                report(Progress(done, size, math.nan))
    assert result is not None
    return result


def _step(objective: Objective, batch: Batch, optimizer: Any, taught: Tensor | None) -> float:
    optimizer.zero_grad()
    got = objective.features(batch)
    loss = objective.loss(got, batch.labels)
    if taught is not None:
        per_example = len(got) // len(batch.labels)
        rows = [batch.indices + text * (len(taught) // per_example) for text in range(per_example)]
        loss = LABELS * loss + objective.distance(got, taught[torch.cat(rows)])
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(optimizer.param_groups[0]["params"], 1.0)
    value = loss.item()
    if math.isfinite(value):
        optimizer.step()
    return value


def _optimizer(objective: Objective, settings: Settings) -> torch.optim.Optimizer:
    scales = parameters_of_scales(objective)
    theirs = {id(each) for each in scales}
    rest = [
        each for each in objective.parameters() if each.requires_grad and id(each) not in theirs
    ]
    groups: list[dict[str, Any]] = [
        {"params": rest, "lr": settings.rate, "weight_decay": settings.decay},
    ]
    if scales:
        groups.append({"params": scales, "lr": SCALE_RATE, "weight_decay": 0.0})
    return torch.optim.AdamW(groups)


def _rate(step: int, steps: int, warm_up: float) -> float:
    """Factor of the learning rate: it rises linearly from 0 and falls linearly to 0."""
    up = max(1.0, warm_up * steps)
    return min((step + 1) / up, max(0.0, (steps - step) / max(1.0, steps - up)))
