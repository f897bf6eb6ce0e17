"""Encoder layers by shape: random GEMM jobs on which a core is timed."""

from dataclasses import dataclass

import numpy as np

from golden.numeric.codec import all_codes
from golden.schedule.job import Epilogue, Job
from golden.spec.modes import Mode, mode

__all__ = ["ENCODERS", "RESULTS", "EncoderShape", "layer_jobs"]

RESULTS = 64
"""Target spread of requantized random results: many distinct codes, few of them clamped."""


@dataclass(frozen=True)
class EncoderShape:
    """Sizes of an encoder layer: hidden size, feed-forward size and number of heads."""

    hidden: int
    ffn: int
    heads: int

    @property
    def head(self) -> int:
        """Columns of one head."""
        return self.hidden // self.heads


ENCODERS = {"bert-base": EncoderShape(768, 3072, 12), "minilm": EncoderShape(384, 1536, 12)}
"""BERT-base (Devlin et al., arXiv:1810.04805) and all-MiniLM-L6-v2."""


def layer_jobs(
    encoder: EncoderShape, tokens: int, linear: Mode, seed: int = 0
) -> dict[str, list[Job]]:
    """Random jobs of one layer on `tokens` tokens, by GEMM name in execution order.

    Linear GEMMs run in the mode `linear` with biases, attention GEMMs in w8a8 without biases.
    Query, key, value and context are requantized to 8 bits; the other results are sums.
    """
    rng = np.random.default_rng(seed)
    hidden, ffn, head = encoder.hidden, encoder.ffn, encoder.head
    attention = mode("w8a8")

    def jobs(
        name: str, chosen: Mode, m: int, k: int, n: int, count: int = 1, bits: int = 0
    ) -> list[Job]:
        made = []
        for _ in range(count):
            x, w = (
                rng.choice(all_codes(chosen.x_format), (m, k)),
                rng.choice(all_codes(chosen.w_format), (k, n)),
            )
            bias = rng.integers(-(2**15), 2**15, n).astype(np.int32) if chosen is linear else None
            epilogue = None
            if bits:
                spread = chosen.output_bound * k // (3 * RESULTS)
                shift = np.full(n, min(47, 15 + spread.bit_length()), np.int32)
                epilogue = Epilogue(rng.integers(2**14, 2**15, n).astype(np.int32), shift, bits)
            made.append(Job(name, chosen, x, w, bias, epilogue))
        return made

    return {
        "query": jobs("query", linear, tokens, hidden, hidden, bits=8),
        "key": jobs("key", linear, tokens, hidden, hidden, bits=8),
        "value": jobs("value", linear, tokens, hidden, hidden, bits=8),
        "scores": jobs("scores", attention, tokens, head, tokens, encoder.heads),
        "context": jobs("context", attention, tokens, tokens, head, encoder.heads, bits=8),
        "output": jobs("output", linear, tokens, hidden, hidden),
        "ffn1": jobs("ffn1", linear, tokens, hidden, ffn),
        "ffn2": jobs("ffn2", linear, tokens, ffn, hidden),
    }
