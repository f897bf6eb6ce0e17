"""Dimensions of a BERT."""

from dataclasses import dataclass

from golden.checks import check_count

__all__ = ["CONFIG_KEYS", "BertConfig"]

CONFIG_KEYS = {
    "positions": "max_position_embeddings",
    "layers": "num_hidden_layers",
    "hidden": "hidden_size",
    "heads": "num_attention_heads",
    "intermediate": "intermediate_size",
    "vocabulary": "vocab_size",
    "eps": "layer_norm_eps",
}
"""Keys of BertConfig's fields in transformers' config.json.

`max_tokens` is read from sentence_bert_config.json instead.
"""


@dataclass(frozen=True)
class BertConfig:
    """Dimensions of a BERT.

    `positions` is the size of the position table. `max_tokens`, at most `positions`, is the longest
    text that the model was trained on. `eps` (1e-30..1) is LayerNorm's. Raises ValueError, naming
    the field, for sizes below 1, values of a wrong type, and heads that do not divide `hidden`.
    """

    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    max_tokens: int
    eps: float

    def __post_init__(self) -> None:
        for name in (
            "layers",
            "hidden",
            "heads",
            "intermediate",
            "vocabulary",
            "positions",
            "max_tokens",
        ):
            check_count(getattr(self, name), name)
        if self.hidden % self.heads:
            raise ValueError(
                f"heads: expected a divisor of hidden size {self.hidden}, got {self.heads!r}"
            )
        if self.max_tokens > self.positions:
            raise ValueError(
                f"max_tokens: expected at most {self.positions} positions, got {self.max_tokens}"
            )
        # A smaller eps is 0 in float32, and LayerNorm of a constant row would divide by 0.
        if (
            isinstance(self.eps, bool)
            or not isinstance(self.eps, int | float)
            or not 1e-30 <= self.eps <= 1
        ):
            raise ValueError(f"eps: expected a number in 1e-30..1, got {self.eps!r}")

    @property
    def head_width(self) -> int:
        """Columns of Q, K and V per head."""
        return self.hidden // self.heads

    def dense_shape(self, name: str) -> tuple[int, int]:
        """(inputs, outputs) of linear layer `name`."""
        rows = self.intermediate if name == "ffn2" else self.hidden
        cols = self.intermediate if name == "ffn1" else self.hidden
        return rows, cols
