"""A BERT with random weights, small enough to check every number."""

from pathlib import Path

import numpy as np

from golden.bert.config import BertConfig
from golden.bert.weights import DENSE_NAMES, Dense, LayerWeights, Norm, Tables, Weights

CONFIG = BertConfig(
    layers=2,
    hidden=24,
    heads=3,
    intermediate=40,
    vocabulary=50,
    positions=16,
    max_tokens=12,
    eps=1e-12,
)

SENTENCES = [[1, 5, 9, 2], [1, 44, 2], [1, 7, 7, 30, 21, 2], [1, 12, 13, 2]]

KEYS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "ffn1": "intermediate.dense",
    "ffn2": "output.dense",
}


def tiny_weights(seed: int = 1, config: BertConfig = CONFIG) -> Weights:
    """Random weights of a BERT of `config`."""
    rng = np.random.default_rng(seed)

    def real(*shape: int, spread: float = 0.2, centre: float = 0.0):
        return rng.normal(centre, spread, shape).astype(np.float32)

    def norm() -> Norm:
        return Norm(real(config.hidden, centre=1.0), real(config.hidden))

    layers = []
    for _ in range(config.layers):
        dense = {}
        for name in DENSE_NAMES:
            rows, cols = config.dense_shape(name)
            dense[name] = Dense(real(rows, cols), real(cols))
        layers.append(LayerWeights(dense, norm(), norm()))
    tables = Tables(
        *(real(rows, config.hidden) for rows in (config.vocabulary, config.positions, 2))
    )
    return Weights(config, tables, norm(), tuple(layers))


def state_dict(weights: Weights, prefix: str = "") -> dict[str, np.ndarray]:
    """The weights with the names and layout of a BERT checkpoint."""
    state = {
        "embeddings.word_embeddings.weight": weights.tables.word,
        "embeddings.position_embeddings.weight": weights.tables.position,
        "embeddings.token_type_embeddings.weight": weights.tables.kind,
    }
    norms = {"embeddings.LayerNorm": weights.embedding_norm}
    for index, layer in enumerate(weights.layers):
        norms[f"encoder.layer.{index}.attention.output.LayerNorm"] = layer.attention_norm
        norms[f"encoder.layer.{index}.output.LayerNorm"] = layer.output_norm
        for name, dense in layer.dense.items():
            state[f"encoder.layer.{index}.{KEYS[name]}.weight"] = np.ascontiguousarray(
                dense.weight.T
            )
            state[f"encoder.layer.{index}.{KEYS[name]}.bias"] = dense.bias
    for key, norm in norms.items():
        state |= {f"{key}.weight": norm.weight, f"{key}.bias": norm.bias}
    return {prefix + key: value for key, value in state.items()}


def config_fields(config: BertConfig = CONFIG) -> dict[str, object]:
    """Content of config.json for `config`."""
    return {
        "hidden_act": "gelu",
        "num_hidden_layers": config.layers,
        "hidden_size": config.hidden,
        "num_attention_heads": config.heads,
        "intermediate_size": config.intermediate,
        "vocab_size": config.vocabulary,
        "max_position_embeddings": config.positions,
        "layer_norm_eps": config.eps,
    }


def write_folder(folder: Path, state: dict[str, np.ndarray], fields: dict[str, object]) -> None:
    """Write a model folder: config.json and model.safetensors."""
    import json

    from safetensors.numpy import save_file

    (folder / "config.json").write_text(json.dumps(fields))
    save_file(state, folder / "model.safetensors")
