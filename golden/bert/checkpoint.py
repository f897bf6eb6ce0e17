"""Checkpoints of quantized models: a safetensors file of codes with a header in its metadata.

The metadata contain `format_version`, the header as JSON (`tilebert`, see golden.bert.layout) and
`sha256`, a digest of everything else in the file. The digest reveals a flipped bit even if the
result is a legal code or a plausible scale.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from golden.bert.layout import Tensors, check_packaged, header_of, model_of, tensors_of
from golden.bert.quantized import QuantizedModel, QuantizedProducts
from golden.files import write_bytes
from golden.schedule.backend import golden_backend

__all__ = ["FORMAT_VERSION", "digest", "load", "save", "to_bytes"]

FORMAT_VERSION = 3
"""Version of the layout that `save` writes; `load` also reads version 2, which has no digest."""

_WITHOUT_DIGEST = 2


def save(model: QuantizedModel, path: Path, *, embeddings: bool = False) -> None:
    """Write a checkpoint to `path` atomically.

    `embeddings` and errors as in `to_bytes`. Raises FileNotFoundError for a missing folder, OSError
    for one that cannot be written to.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder")
    write_bytes(path, to_bytes(model, embeddings=embeddings))


def to_bytes(model: QuantizedModel, *, embeddings: bool = False) -> bytes:
    """Content of a checkpoint file of the model; codes are packed bit by bit.

    Without `embeddings` the file omits the embedding tables, and `load` quantizes those of the
    packaged model instead. Raises ValueError if these would differ from the model's tables,
    FileNotFoundError if the package is missing.
    """
    from safetensors.numpy import save as serialized

    if not embeddings:
        check_packaged(model)
    tensors = tensors_of(model, embeddings=embeddings)
    metadata = {"format_version": str(FORMAT_VERSION), "tilebert": json.dumps(header_of(model))}
    return serialized(tensors, metadata | {"sha256": digest(metadata, tensors)})


def load(path: Path) -> QuantizedModel:
    """Read the model that `save` wrote to `path`; the result equals that model in every bit.

    Raises FileNotFoundError for a missing file, and for a missing packaged model if it supplies
    the embedding tables. Raises ValueError, naming file and tensor or field, for a file that is not
    a checkpoint, has another version or is damaged: wrong digest, missing or illegal parts, or
    scales that the requantizer cannot express. Warns of a file without a digest, in which damage
    may go unnoticed.
    """
    metadata, tensors = _read(path)
    try:
        version = _version(metadata)
        model = model_of(_header(metadata, version), tensors)
        QuantizedProducts(model, golden_backend)
        # Check the digest last, because the earlier checks name the damaged tensor or field.
        checked = _checked(metadata, version, tensors)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not checked:
        warnings.warn(
            f"{path}: no digest in the file; a changed bit may go unnoticed", stacklevel=2
        )
    return model


def digest(metadata: Mapping[str, str], tensors: Tensors) -> str:
    """SHA-256 of the metadata without `sha256`, and of all tensors.

    It covers each tensor's name, type, shape and bytes.
    """
    result = hashlib.sha256()
    parts: list[bytes] = []
    for key in sorted(metadata.keys() - {"sha256"}):
        parts += [key.encode(), metadata[key].encode()]
    for name in sorted(tensors):
        array = tensors[name]
        parts += [
            f"{name} {array.dtype.str} {array.shape}".encode(),
            np.ascontiguousarray(array).tobytes(),
        ]
    for part in parts:
        # The lengths make the concatenation unambiguous.
        result.update(len(part).to_bytes(8, "little") + part)
    return result.hexdigest()


def _version(metadata: Mapping[str, str]) -> int:
    version = metadata.get("format_version")
    if version is None:
        raise ValueError("not a checkpoint of a quantized model: no format_version")
    if version not in (str(FORMAT_VERSION), str(_WITHOUT_DIGEST)):
        raise ValueError(f"format_version: expected {FORMAT_VERSION}, got {version}")
    return int(version)


def _header(metadata: Mapping[str, str], version: int) -> Any:
    try:
        header = json.loads(metadata.get("tilebert", ""))
    except (ValueError, RecursionError):
        raise ValueError("expected a header in JSON, got none") from None
    # The first files of version 2 have no task.
    old = version == _WITHOUT_DIGEST and isinstance(header, dict)
    return {"task": None, **header} if old else header


def _checked(metadata: Mapping[str, str], version: int, tensors: Tensors) -> bool:
    """Whether the file has a digest.

    Raises ValueError for a wrong digest, and for a missing one in a version that requires it.
    """
    expected = metadata.get("sha256")
    if expected is None:
        if version != _WITHOUT_DIGEST:
            raise ValueError("sha256: expected a digest in the metadata, got none")
        return False
    if (got := digest(metadata, tensors)) != expected:
        raise ValueError(f"damaged: expected sha256 {expected} over header and tensors, got {got}")
    return True


def _read(path: Path) -> tuple[dict[str, str], Tensors]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        reason = "expected a file, got a folder or a device" if path.exists() else "no such file"
        raise FileNotFoundError(f"{path}: {reason}")
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            tensors = {}
            for name in file.keys():  # noqa: SIM118
                kind = file.get_slice(name).get_dtype()
                if kind not in _TYPES:
                    raise ValueError(
                        f"{path}: {name}: expected one of {', '.join(_TYPES)}, got {kind}"
                    )
                tensors[name] = file.get_tensor(name)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error})") from None
    return metadata, tensors


_TYPES = ("F32", "F64", "I8", "U8")
"""Tensor types that checkpoints contain, in safetensors' notation."""
