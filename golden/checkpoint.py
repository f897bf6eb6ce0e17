"""Quantized models as files: one safetensors file of codes, with scales and formats in its metadata."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.files import write_bytes
from golden.formats import Format, Linear, Log2, Piecewise
from golden.head import Head
from golden.modes import Mode, mode
from golden.packing import pack_bits, unpack_bits
from golden.quantize import quantize
from golden.quantized import (
    TABLE_FORMAT,
    Activation,
    QuantizedDense,
    QuantizedLayer,
    QuantizedModel,
    QuantizedTable,
)
from golden.weights import Config, Norm, read_tables

FORMAT_VERSION = 2
"""Number of the layout that `save` writes and the only one that `load` reads."""

_KINDS: dict[str, type[Linear] | type[Log2] | type[Piecewise]] = {
    "linear": Linear,
    "log2": Log2,
    "piecewise": Piecewise,
}

Tensors = dict[str, NDArray[Any]]


def save(model: QuantizedModel, path: Path, *, embeddings: bool = False) -> None:
    """Writes `model` to `path`, whole or not at all: what `to_bytes` returns.

    Raises FileNotFoundError for a folder that does not exist, OSError for one that cannot be written.
    """
    if not path.parent.is_dir():
        raise FileNotFoundError(f"{path.parent}: no such folder")
    write_bytes(path, to_bytes(model, embeddings=embeddings))


def to_bytes(model: QuantizedModel, *, embeddings: bool = False) -> bytes:
    """The content of a checkpoint.

    Codes take the bits they have. The embedding tables stay out unless `embeddings`: `load` then makes them again
    from the packaged model, and refuses them should they differ.
    """
    from safetensors.numpy import save

    tensors: Tensors = {}
    _put_norm(tensors, "embedding_norm", model.embedding_norm)
    layers = []
    for index, layer in enumerate(model.layers):
        prefix = f"layers.{index}"
        _put_norm(tensors, f"{prefix}.attention_norm", layer.attention_norm)
        _put_norm(tensors, f"{prefix}.output_norm", layer.output_norm)
        for name, dense in layer.dense.items():
            tensors[f"{prefix}.{name}.codes"] = pack_bits(dense.codes, dense.format)
            tensors[f"{prefix}.{name}.scale"] = np.asarray(dense.scale)
            tensors[f"{prefix}.{name}.bias"] = dense.bias
        sites = layer.activations.items()
        layers.append(
            {
                "dense": {name: {"format": _to_json(dense.format)} for name, dense in layer.dense.items()},
                "activations": {site: {"format": _to_json(a.format), "scale": a.scale} for site, a in sites},
            }
        )
    if model.head is not None:
        tensors |= {"head.weight": model.head.weight, "head.bias": model.head.bias}
    if embeddings:
        tensors.update({f"tables.{name}": table.codes for name, table in model.tables.items()})
    header = {
        "mode": {"name": model.mode.name, "exponent_bits": _exponent_bits(model.mode)},
        "config": asdict(model.config),
        "tables": {
            name: {"scale": table.scale, "sha256": _digest(table.codes)}
            for name, table in model.tables.items()
        },
        "layers": layers,
        "task": None if model.head is None else model.head.task,
    }
    metadata = {"format_version": str(FORMAT_VERSION), "tilebert": json.dumps(header)}
    return save({name: np.array(array, order="C") for name, array in tensors.items()}, metadata)


def load(path: Path) -> QuantizedModel:
    """The model that `save` wrote to `path`, equal to the bit.

    Raises FileNotFoundError when there is no such file, or no packaged model for its embedding tables;
    ValueError, naming the file, for one that is no safetensors file, no checkpoint, of another format
    version, or damaged: a tensor missing, of a wrong shape, or with codes outside its format.
    """
    header, tensors = _read(path)
    try:
        return _model(header, tensors)
    except KeyError as error:
        raise ValueError(f"{path}: expected an entry {error.args[0]}, got none") from None
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{path}: damaged header ({error})") from None


def _read(path: Path) -> tuple[dict[str, Any], Tensors]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error})") from None
    version = metadata.get("format_version")
    if version is None:
        raise ValueError(f"{path}: not a checkpoint of a quantized model: no format_version")
    if version != str(FORMAT_VERSION):
        raise ValueError(f"{path}: format_version: expected {FORMAT_VERSION}, got {version}")
    try:
        return json.loads(metadata.get("tilebert", "")), tensors
    except ValueError:
        raise ValueError(f"{path}: expected a header in JSON, got none") from None


def _model(header: dict[str, Any], tensors: Tensors) -> QuantizedModel:
    config = Config(**header["config"])
    task = header.get("task")
    layers = []
    for index, fields in enumerate(header["layers"]):
        prefix = f"layers.{index}"
        dense = {}
        for name, entry in fields["dense"].items():
            fmt = _from_json(entry["format"])
            dense[name] = QuantizedDense(
                codes=_unpack(tensors, f"{prefix}.{name}.codes", fmt, config.dense_shape(name)),
                format=fmt,
                scale=tensors[f"{prefix}.{name}.scale"],
                bias=tensors[f"{prefix}.{name}.bias"],
            )
        activations = {
            site: Activation(_from_json(entry["format"]), float(entry["scale"]))
            for site, entry in fields["activations"].items()
        }
        layers.append(
            QuantizedLayer(
                dense,
                activations,
                _norm(tensors, f"{prefix}.attention_norm"),
                _norm(tensors, f"{prefix}.output_norm"),
            )
        )
    return QuantizedModel(
        mode=mode(header["mode"]["name"], header["mode"]["exponent_bits"]),
        config=config,
        tables=_tables(header["tables"], tensors),
        embedding_norm=_norm(tensors, "embedding_norm"),
        layers=tuple(layers),
        head=None if task is None else Head(task, tensors["head.weight"], tensors["head.bias"]),
    )


def _tables(entries: dict[str, dict[str, Any]], tensors: Tensors) -> dict[str, QuantizedTable]:
    reference = None
    tables = {}
    for name, entry in entries.items():
        scale = float(entry["scale"])
        if f"tables.{name}" in tensors:
            codes: NDArray[np.integer] = tensors[f"tables.{name}"]
        else:
            reference = read_tables() if reference is None else reference
            codes = quantize(getattr(reference, name), TABLE_FORMAT, scale)
        if _digest(codes) != entry["sha256"]:
            raise ValueError(f"tables.{name}: expected sha256 {entry['sha256']}, got {_digest(codes)}")
        tables[name] = QuantizedTable(codes, scale)
    return tables


def _unpack(tensors: Tensors, name: str, fmt: Format, shape: tuple[int, int]) -> NDArray[np.integer]:
    try:
        return unpack_bits(tensors[name], fmt, shape)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _put_norm(tensors: Tensors, name: str, norm: Norm) -> None:
    tensors[f"{name}.weight"] = norm.weight
    tensors[f"{name}.bias"] = norm.bias


def _norm(tensors: Tensors, name: str) -> Norm:
    return Norm(tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def _exponent_bits(mode: Mode) -> int:
    formats = (mode.w_format, mode.x_format)
    return next((fmt.exponent_bits for fmt in formats if isinstance(fmt, Log2)), 4)


def _to_json(fmt: Format) -> dict[str, Any]:
    kind = next(kind for kind, record in _KINDS.items() if isinstance(fmt, record))
    return {"kind": kind, **asdict(fmt)}


def _from_json(entry: dict[str, Any]) -> Format:
    fields = dict(entry)
    kind = fields.pop("kind")
    if kind not in _KINDS:
        raise ValueError(f"format: expected one of {', '.join(_KINDS)}, got {kind!r}")
    return _KINDS[kind](**fields)


def _digest(codes: NDArray[np.integer]) -> str:
    return hashlib.sha256(np.ascontiguousarray(codes).tobytes()).hexdigest()
