"""Quantized models as files: one safetensors file of codes, with scales and formats in its metadata.

The metadata hold `format_version`, the header in JSON (`tilebert`, see golden.layout) and `sha256`, a digest over
everything else in the file: a flipped bit that leaves a legal code or a plausible scale is found.
"""

import hashlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from golden.backend import golden_backend
from golden.files import write_bytes
from golden.layout import Tensors, check_packaged, header_of, model_of, tensors_of
from golden.quantized import QuantizedModel, QuantizedProducts

FORMAT_VERSION = 3
"""Number of the layout that `save` writes. `load` reads it and 2, which is the same but for the digest."""

_WITHOUT_DIGEST = 2


def save(model: QuantizedModel, path: Path, *, embeddings: bool = False) -> None:
    """Writes `to_bytes` of the model to `path`, whole or not at all; errors as there.

    Raises FileNotFoundError for a folder that does not exist, OSError for one that cannot be written to.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder")
    write_bytes(path, to_bytes(model, embeddings=embeddings))


def to_bytes(model: QuantizedModel, *, embeddings: bool = False) -> bytes:
    """The model as a file's content. Codes take the bits they have.

    The embedding tables are left out unless `embeddings`: `load` makes them again from the packaged model. Raises
    ValueError where that would give other tables, FileNotFoundError without the package.
    """
    from safetensors.numpy import save as serialized

    if not embeddings:
        check_packaged(model)
    tensors = tensors_of(model, embeddings=embeddings)
    metadata = {"format_version": str(FORMAT_VERSION), "tilebert": json.dumps(header_of(model))}
    return serialized(tensors, metadata | {"sha256": digest(metadata, tensors)})


def load(path: Path) -> QuantizedModel:
    """The model that `save` wrote to `path`, equal to the bit.

    Raises FileNotFoundError when there is no such file, or no packaged model for its embedding tables; ValueError,
    naming the file and the tensor or field, for one that is no safetensors file, no checkpoint, of another format
    version, or damaged: a digest that differs, parts missing or of a wrong shape, type or range, scales that the
    requantizer cannot express. Warns of a file without a digest, where not every damage is found.
    """
    metadata, tensors = _read(path)
    try:
        version = _version(metadata)
        model = model_of(_header(metadata, version), tensors)
        QuantizedProducts(model, golden_backend)
        # Last, so that a number that is no legal one is named.
        checked = _checked(metadata, version, tensors)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not checked:
        warnings.warn(f"{path}: no digest in the file; a changed bit may go unnoticed", stacklevel=2)
    return model


def digest(metadata: Mapping[str, str], tensors: Tensors) -> str:
    """SHA-256 over all metadata but the digest itself, and over name, type, shape and bytes of every tensor."""
    result = hashlib.sha256()
    parts: list[bytes] = []
    for key in sorted(metadata.keys() - {"sha256"}):
        parts += [key.encode(), metadata[key].encode()]
    for name in sorted(tensors):
        array = tensors[name]
        parts += [f"{name} {array.dtype.str} {array.shape}".encode(), np.ascontiguousarray(array).tobytes()]
    for part in parts:
        # Lengths keep neighbours apart.
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
    # The first files of version 2 know no tasks.
    old = version == _WITHOUT_DIGEST and isinstance(header, dict)
    return {"task": None, **header} if old else header


def _checked(metadata: Mapping[str, str], version: int, tensors: Tensors) -> bool:
    """Whether the file has a digest. Raises ValueError for one that differs, or none in a version that has one."""
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
                    raise ValueError(f"{path}: {name}: expected one of {', '.join(_TYPES)}, got {kind}")
                tensors[name] = file.get_tensor(name)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error})") from None
    return metadata, tensors


_TYPES = ("F32", "F64", "I8", "U8")
"""Types of tensors, as safetensors names them, that any checkpoint has."""
