"""Layout of checkpoints: named tensors, and a header of formats, scales and sizes.

`tensors_of` and `header_of` serialize a model, `model_of` rebuilds it. Every field of the header is
checked and unknown fields are refused, so that a file of another layout never loads as a wrong
model.
"""

import hashlib
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.bert.config import BertConfig
from golden.bert.head import Head
from golden.bert.quantized import (
    TABLE_FORMAT,
    QuantizedDense,
    QuantizedLayer,
    QuantizedModel,
    QuantizedTable,
)
from golden.bert.sites import SITES, Activation
from golden.bert.weights import DENSE_NAMES, PACKAGE, Norm, model_folder, read_config, read_tables
from golden.checks import expect
from golden.numeric.packing import pack_bits, unpack_bits
from golden.numeric.quantize import quantize
from golden.spec.formats import Format, Linear, Log2, Piecewise
from golden.spec.modes import MODE_NAMES, Mode, mode

__all__ = ["TABLES", "Fields", "Tensors", "check_packaged", "header_of", "model_of", "tensors_of"]

Tensors = dict[str, NDArray[Any]]
Fields = dict[str, Any]

TABLES = ("word", "position", "kind")
"""Names of the embedding tables."""

_KINDS: dict[str, type[Linear] | type[Log2] | type[Piecewise]] = {
    "linear": Linear,
    "log2": Log2,
    "piecewise": Piecewise,
}


def tensors_of(model: QuantizedModel, *, embeddings: bool) -> Tensors:
    """Tensors of the model by name, codes packed bit by bit; the tables only if `embeddings`."""
    tensors: Tensors = {}
    _put_norm(tensors, "embedding_norm", model.embedding_norm)
    for index, layer in enumerate(model.layers):
        prefix = f"layers.{index}"
        _put_norm(tensors, f"{prefix}.attention_norm", layer.attention_norm)
        _put_norm(tensors, f"{prefix}.output_norm", layer.output_norm)
        for name, dense in layer.dense.items():
            tensors[f"{prefix}.{name}.codes"] = pack_bits(dense.codes, dense.format)
            tensors[f"{prefix}.{name}.scale"] = np.asarray(dense.scale)
            tensors[f"{prefix}.{name}.bias"] = dense.bias
    if model.head is not None:
        tensors |= {"head.weight": model.head.weight, "head.bias": model.head.bias}
    if embeddings:
        tensors |= {f"tables.{name}": table.codes for name, table in model.tables.items()}
    return {name: np.array(array, order="C") for name, array in tensors.items()}


def header_of(model: QuantizedModel) -> Fields:
    """Header of the model as JSON values: everything but the tensors."""
    layers = []
    for layer in model.layers:
        sites = layer.activations.items()
        layers.append(
            {
                "dense": {
                    name: {"format": _to_json(dense.format)} for name, dense in layer.dense.items()
                },
                "activations": {
                    site: {"format": _to_json(a.format), "scale": a.scale} for site, a in sites
                },
            }
        )
    return {
        "mode": {"name": model.mode.name, "exponent_bits": _exponent_bits(model.mode)},
        "config": asdict(model.config),
        "tables": {
            name: {"scale": table.scale, "sha256": _digest(table.codes)}
            for name, table in model.tables.items()
        },
        "layers": layers,
        "task": None if model.head is None else model.head.task,
    }


def model_of(header: object, tensors: Mapping[str, NDArray[Any]]) -> QuantizedModel:
    """Rebuild a model from its header and tensors.

    Raises ValueError, naming tensor or field, for parts that do not form a model.
    """
    fields = _fields(header, "header", "mode", "config", "tables", "layers", "task")
    left = dict(tensors)
    config = _config(fields["config"])
    entries = fields["layers"]
    if not isinstance(entries, list) or len(entries) != config.layers:
        got = f"{len(entries)}" if isinstance(entries, list) else repr(str(entries)[:40])
        raise ValueError(f"layers: expected {config.layers}, got {got}")
    task = fields["task"]
    if task is not None and not isinstance(task, str):
        raise ValueError(f"task: expected a name or null, got {str(task)[:40]!r}")
    model = QuantizedModel(
        mode=_mode(fields["mode"]),
        config=config,
        embedding_norm=_norm(left, "embedding_norm"),
        layers=tuple(
            _layer(entry, config, left, f"layers.{index}") for index, entry in enumerate(entries)
        ),
        head=None
        if task is None
        else Head(task, _take(left, "head.weight"), _take(left, "head.bias")),
        tables=_tables(fields["tables"], config, left),
    )
    if left:
        raise ValueError(f"{min(left)}: expected no tensor of that name in this model, got one")
    return model


def check_packaged(model: QuantizedModel) -> None:
    """Raise ValueError unless the embedding tables equal those quantized from the packaged model.

    Raises FileNotFoundError if the package is missing.
    """
    made = _packaged({name: model.tables[name].scale for name in TABLES}, model.config)
    for name in TABLES:
        if not np.array_equal(made[name], model.tables[name].codes):
            raise ValueError(_NOT_PACKAGED.format(name))


_NOT_PACKAGED = (
    "tables.{}: expected tables in the file, as they are not those of "
    f"{PACKAGE.replace('_', '-')}; save the model with its embeddings"
)


def _config(entry: object) -> BertConfig:
    fields = _fields(entry, "config", *BertConfig.__dataclass_fields__)
    try:
        return BertConfig(**fields)
    except ValueError as error:
        raise ValueError(f"config.{error}") from None


def _layer(entry: object, config: BertConfig, tensors: Tensors, where: str) -> QuantizedLayer:
    fields = _fields(entry, where, "dense", "activations")
    dense = {}
    for name, given in _fields(fields["dense"], f"{where}.dense", *DENSE_NAMES).items():
        fmt = _format(
            _fields(given, f"{where}.dense.{name}", "format")["format"], f"{where}.{name}.format"
        )
        dense[name] = QuantizedDense(
            codes=_unpack(tensors, f"{where}.{name}.codes", fmt, config.dense_shape(name)),
            format=fmt,
            scale=_take(tensors, f"{where}.{name}.scale"),
            bias=_take(tensors, f"{where}.{name}.bias"),
        )
    activations = {}
    for site, given in _fields(fields["activations"], f"{where}.activations", *SITES).items():
        values = _fields(given, f"{where}.activations.{site}", "format", "scale")
        fmt = _format(values["format"], f"{where}.{site}.format")
        activations[site] = Activation(fmt, _real(values["scale"], f"{where}.{site}.scale"))
    norms = (_norm(tensors, f"{where}.attention_norm"), _norm(tensors, f"{where}.output_norm"))
    return QuantizedLayer(dense, activations, *norms)


def _tables(entry: object, config: BertConfig, tensors: Tensors) -> dict[str, QuantizedTable]:
    entries = {
        name: _fields(given, f"tables.{name}", "scale", "sha256")
        for name, given in _fields(entry, "tables", *TABLES).items()
    }
    scales = {name: _real(entries[name]["scale"], f"tables.{name}.scale") for name in TABLES}
    packaged = not any(f"tables.{name}" in tensors for name in TABLES)
    made = _packaged(scales, config) if packaged else {}
    codes = made or {name: _take(tensors, f"tables.{name}") for name in TABLES}
    for name in TABLES:
        expected, got = entries[name]["sha256"], _digest(codes[name])
        if got != expected:
            if packaged:
                raise ValueError(_NOT_PACKAGED.format(name))
            raise ValueError(f"tables.{name}: expected sha256 {expected}, got {got}")
    return {name: QuantizedTable(codes[name], scales[name]) for name in TABLES}


def _packaged(scales: Mapping[str, float], config: BertConfig) -> dict[str, NDArray[np.integer]]:
    """Codes of the packaged model's tables; raises ValueError for a model of other sizes."""
    theirs = read_config(model_folder())
    for name, field in (("word", "vocabulary"), ("position", "positions"), ("kind", "hidden")):
        if (getattr(theirs, field), theirs.hidden) != (getattr(config, field), config.hidden):
            raise ValueError(_NOT_PACKAGED.format(name))
    tables = read_tables()
    try:
        return {
            name: quantize(getattr(tables, name), TABLE_FORMAT, scales[name]) for name in TABLES
        }
    except ValueError as error:
        raise ValueError(f"tables: {error}") from None


def _fields(entry: object, where: str, *names: str) -> Fields:
    """The fields `names`, in this order, of a JSON object that has exactly these."""
    if not isinstance(entry, dict):
        raise ValueError(f"{where}: expected fields {', '.join(names)}, got {str(entry)[:40]!r}")
    for name in names:
        if name not in entry:
            raise ValueError(f"{where}: expected a field {name!r}, got none")
    if unknown := sorted(entry.keys() - set(names)):
        raise ValueError(f"{where}: expected no field {unknown[0]!r}, got one")
    return {name: entry[name] for name in names}


def _real(value: object, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{where}: expected a number, got {str(value)[:40]!r}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _take(tensors: Tensors, name: str) -> NDArray[Any]:
    if name not in tensors:
        raise ValueError(f"{name}: expected a tensor, got none")
    return tensors.pop(name)


def _unpack(
    tensors: Tensors, name: str, fmt: Format, shape: tuple[int, int]
) -> NDArray[np.integer]:
    packed = _take(tensors, name)
    try:
        return unpack_bits(packed, fmt, shape)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _put_norm(tensors: Tensors, name: str, norm: Norm) -> None:
    tensors |= {f"{name}.weight": norm.weight, f"{name}.bias": norm.bias}


def _norm(tensors: Tensors, name: str) -> Norm:
    return Norm(_take(tensors, f"{name}.weight"), _take(tensors, f"{name}.bias"))


def _mode(entry: object) -> Mode:
    fields = _fields(entry, "mode", "name", "exponent_bits")
    name, exponent_bits = fields["name"], fields["exponent_bits"]
    if name not in MODE_NAMES:
        raise ValueError(f"mode.name: expected one of {', '.join(MODE_NAMES)}, got {name!r}")
    if not isinstance(exponent_bits, int) or isinstance(exponent_bits, bool):
        raise ValueError(f"mode.exponent_bits: expected an integer, got {exponent_bits!r}")
    try:
        found = mode(name, exponent_bits)
    except ValueError as error:
        raise ValueError(f"mode.{error}") from None
    expect("mode.exponent_bits", _exponent_bits(found), exponent_bits)
    return found


def _exponent_bits(mode: Mode) -> int:
    formats = (mode.w_format, mode.x_format)
    return next((fmt.exponent_bits for fmt in formats if isinstance(fmt, Log2)), 4)


def _to_json(fmt: Format) -> Fields:
    kind = next(kind for kind, record in _KINDS.items() if isinstance(fmt, record))
    return {"kind": kind, **asdict(fmt)}


def _format(entry: object, where: str) -> Format:
    kind = entry.get("kind") if isinstance(entry, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ValueError(f"{where}.kind: expected one of {', '.join(_KINDS)}, got {kind!r}")
    record = _KINDS[kind]
    fields = _fields(entry, where, "kind", *record.__dataclass_fields__)
    del fields["kind"]
    for name, value in fields.items():
        if not isinstance(value, int) or isinstance(value, bool):
            raise ValueError(f"{where}.{name}: expected an integer, got {value!r}")
    try:
        fmt = record(**fields)
    except ValueError as error:
        raise ValueError(f"{where}.{error}") from None
    # A file must contain the actual offset. If it contains the default, -1, `record` replaces it,
    # so that `fmt` differs from `fields` and the file is refused.
    expect(where, fields, asdict(fmt))
    return fmt


def _digest(codes: NDArray[np.integer]) -> str:
    return hashlib.sha256(np.ascontiguousarray(codes).tobytes()).hexdigest()
