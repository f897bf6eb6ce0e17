"""Training state: the file from which an interrupted training continues."""

import copy
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch

from train.errors import TrainingError

__all__ = ["Tell", "keep", "resumed"]

Tell = Callable[[str], None]
"""Called with a message for the user."""


def keep(path: Path, key: str, parts: Mapping[str, Any], step: int, average: float) -> None:
    """Write the state of all `parts` after `step` steps, and the average loss.

    The previous file remains until the new one is complete. Raises TrainingError for a file that
    cannot be written.
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
    """Restore the state of all `parts`; return the number of completed steps and the average loss.

    Without a file, or with a damaged one, `parts` are unchanged and the result is (0, 0.0); `tell`
    is called with a message about damage. Raises ValueError for the state of a training with other
    settings.
    """
    if path is None or not path.exists():
        return 0, 0.0
    try:
        # PyTorch writes checksums but does not verify them.
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
        f"{path}: expected a training's state, got a damaged file ({kind[:80]}); "
        "training begins anew"
    )
    return 0, 0.0
