"""Measurements of the number formats, for the output of `tilebert formats`."""

import math
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from typing import Any

import numpy as np

from golden.bert.evaluation import Similarity
from golden.bert.statistics import (
    ERROR_EDGES,
    Histogram,
    OutputStatistics,
    WeightStatistics,
    entropy,
    layer_inputs,
    output_statistics,
    weight_statistics,
)
from golden.bert.tokens import Tokenizer
from golden.bert.weights import Weights, read_weights
from golden.spec.formats import Format, Linear, Log2
from golden.spec.modes import Mode, mode
from golden.tasks.glue import Example
from scripts.console import Bar
from scripts.eval.accuracy import score
from scripts.eval.encoders import FLOAT, load_encoder
from scripts.models import MODEL_PACKAGE, load_model
from scripts.options import SENTENCE

MODES = (
    mode("w8a8"),
    mode("w4a8"),
    mode("w4a4"),
    *(mode("wlog-a8", bits) for bits in (3, 4, 5)),
    *(mode("wlog-alog", bits) for bits in (3, 4)),
    mode("wpw-a8"),
)
"""The modes that are measured, in addition to FP32."""

LAYER = 0
"""The layer whose GEMMs are compared with float ones."""


@dataclass(frozen=True)
class Row:
    """Measurements of one mode; `similarity` is None if no benchmark ran."""

    mode: Mode
    weights: WeightStatistics
    outputs: OutputStatistics
    similarity: Similarity | None

    @property
    def label(self) -> str:
        """The mode's name, with the exponent bits, if any, in brackets."""
        fmt = self.mode.w_format
        return (
            f"{self.mode.name} ({fmt.exponent_bits})" if isinstance(fmt, Log2) else self.mode.name
        )

    @property
    def weight_format(self) -> str:
        """`format_label` of the weights: modes that share it have the same weights."""
        return format_label(self.mode.w_format)

    def record(self, base: Similarity | None) -> dict[str, Any]:
        """Record for JSON; correlations that were not run and ratios without loss are null."""
        result, outputs = self.similarity, self.outputs
        return {
            "mode": self.mode.name,
            "exponent_bits": getattr(self.mode.w_format, "exponent_bits", None),
            "weights": self.weight_format,
            "activations": format_label(self.mode.x_format),
            "pearson": None if result is None else result.pearson,
            "spearman": None if result is None else result.spearman,
            "pearson_change": None
            if result is None or base is None
            else result.pearson - base.pearson,
            "weight_snr_db": _finite(self.weights.signal_to_noise),
            "weight_median_error": self.weights.errors.median(),
            "gemm_snr_db": {
                name: _finite(ratio) for name, ratio in outputs.signal_to_noise.items()
            },
            "gemm_mean_snr_db": _finite(outputs.mean_signal_to_noise),
            "gemm_median_error": outputs.errors.median(),
            "zero_fraction": self.weights.zero_fraction,
            "entropy_bits": entropy(self.weights.usage),
            "weight_bytes": self.weights.stored_bytes,
        }


@dataclass(frozen=True)
class Measurements:
    """All modes, on the linear layers of one model.

    `base` is the similarity of FP32; it is None if no benchmark ran.
    """

    weights: Weights
    base: Similarity | None
    rows: list[Row]

    @cached_property
    def float_bytes(self) -> int:
        """Bytes of the float32 weights."""
        return sum(
            dense.weight.nbytes for layer in self.weights.layers for dense in layer.dense.values()
        )

    @cached_property
    def float_zeros(self) -> float:
        """Fraction of the float32 weights that are 0."""
        arrays = [dense.weight for layer in self.weights.layers for dense in layer.dense.values()]
        return sum(int(np.count_nonzero(a == 0)) for a in arrays) / sum(a.size for a in arrays)

    @cached_property
    def by_weight_format(self) -> dict[str, Row]:
        """A row for each distinct format of weights."""
        return {row.weight_format: row for row in self.rows}

    def users(self, weight_format: str) -> str:
        """The modes with weights of this format."""
        names = (row.mode.name for row in self.rows if row.weight_format == weight_format)
        return ", ".join(dict.fromkeys(names))

    def record(self) -> dict[str, Any]:
        """The content of the file of --json."""
        base = self.base
        return {
            "task": None if base is None else "sts-b",
            "pairs": None if base is None else base.pairs,
            "layer": LAYER,
            "sentence": SENTENCE,
            "versions": {name: version(name) for name in ("tilebert", "numpy", MODEL_PACKAGE)},
            "fp32": {
                "pearson": None if base is None else base.pearson,
                "spearman": None if base is None else base.spearman,
                "zero_fraction": self.float_zeros,
                "weight_bytes": self.float_bytes,
            },
            "formats": [row.record(base) for row in self.rows],
        }

    def histograms(self) -> dict[str, Any]:
        """The data of the plots: counts of samples per bin, and of weights per code."""
        usage = {}
        for label, row in self.by_weight_format.items():
            counts = row.weights.usage.tolist()
            usage[label] = {"lowest_code": -(len(counts) // 2), "counts": counts}
        return {
            "relative_error_edges": ERROR_EDGES.tolist(),
            "weight_errors": {
                label: _histogram_record(row.weights.errors)
                for label, row in self.by_weight_format.items()
            },
            "gemm_errors": {row.label: _histogram_record(row.outputs.errors) for row in self.rows},
            "code_usage": usage,
        }


def measure(pairs: list[Example] | None, bar: Bar) -> Measurements:
    """Measurements of every mode on the packaged model, and its similarity if `pairs` are given.

    Raises as `load_model` does.
    """
    weights = read_weights()
    inputs = layer_inputs(weights, Tokenizer().encode(SENTENCE), LAYER)
    base = None if pairs is None else score(load_encoder(None), pairs, bar, FLOAT)
    rows = []
    for chosen in MODES:
        stage = f"{chosen.name}, {format_label(chosen.w_format)}"
        bar.stage(f"{stage}: weights")
        model = load_model(chosen, trained=False)
        errors = weight_statistics(model, weights), output_statistics(model, weights, inputs, LAYER)
        result = None
        if pairs is not None:
            result = score(load_encoder(chosen, trained=False), pairs, bar, stage)
        rows.append(Row(chosen, *errors, result))
    return Measurements(weights, base, rows)


def format_label(fmt: Format) -> str:
    """Kind and bits of a format, without the parameters that differ between tensors."""
    match fmt:
        case Linear():
            return f"linear {fmt.bits}"
        case Log2():
            return f"log2 {fmt.exponent_bits}"
        case _:
            return f"piece-wise {fmt.bits}"


def _histogram_record(subject: Histogram) -> dict[str, Any]:
    return {"counts": subject.counts.tolist(), "below": subject.below, "above": subject.above}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
