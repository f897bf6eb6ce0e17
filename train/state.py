"""The file that an interrupted training goes on from."""

import copy
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch

from train.errors import TrainingError

Tell = Callable[[str], None]
"""Takes a sentence that is to reach the user."""


def keep(path: Path, key: str, parts: Mapping[str, Any], step: int, average: float) -> None:
    """Write what `resumed` reads: the state of every part after `step` steps, and the loss there.

    The old file stays until the new one is whole. Raises TrainingError for a file that cannot be
    written.
    """
    content = {name: part.state_dict() for name, part in parts.items()}
    content |= {"key": key, "step": step, "average": average, "random": torch.get_rng_state()}
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        torch.save(content, partial)
        os.replace(partial, path)
    except (OSError, RuntimeError) as error:  # RuntimeError: PyTorch's, of a full disk
        raise TrainingError(
            f"{path}: expected a writable place for the training's state ({error})"
        ) from None
    finally:
        partial.unlink(missing_ok=True)


def resumed(path: Path | None, key: str, parts: Mapping[str, Any], tell: Tell) -> tuple[int, float]:
    """The step to go on at, and the loss there; `parts` take over what they were.

    (0, 0.0), and `parts` as they are, without a file or with a damaged one, of which `tell` is told. Raises ValueError
    for the state of a training with other settings.
    """
    if path is None or not path.exists():
        return 0, 0.0
    try:
        # PyTorch writes checksums and does not look at them.
        with ZipFile(path) as archive:
            if part := archive.testzip():
                raise ValueError(f"checksum of {part}")
        content = torch.load(path, weights_only=True)
        found = content["key"]
    except Exception as error:  # whatever unpickling damaged bytes raises
        return _damaged(path, error, tell)
    if found != key:
        raise ValueError(
            f"{path}: expected a state of the same training, got one with other settings; remove it"
        )
    before = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}
    try:
        for name, part in parts.items():
            part.load_state_dict(content[name])
        torch.set_rng_state(content["random"])
        return int(content["step"]), float(content["average"])
    except Exception as error:
        for name, part in parts.items():
            part.load_state_dict(before[name])
        return _damaged(path, error, tell)


def _damaged(path: Path, error: Exception, tell: Tell) -> tuple[int, float]:
    kind = str(error).splitlines()[0] if str(error) else type(error).__name__
    tell(
        f"{path}: expected a training's state, got a damaged file ({kind[:80]}); training begins anew"
    )
    return 0, 0.0
