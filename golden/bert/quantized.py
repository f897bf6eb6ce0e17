"""Quantized BERT: records of codes and scales, and an encoder whose GEMMs run on a backend."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from golden.bert.config import BertConfig
from golden.bert.encoder import Encoder, Operand
from golden.bert.functions import Real
from golden.bert.head import Head
from golden.bert.sites import INPUT_SITES, SITES, Activation, input_site, requantizable, site_format
from golden.bert.weights import DENSE_NAMES, Norm
from golden.checks import check_reals, check_scale, expect
from golden.numeric.codec import check_codes
from golden.numeric.quantize import dequantize, quantize
from golden.numeric.requantize import BIAS_MAX, encode_factors
from golden.schedule.job import Backend, Epilogue, Job
from golden.spec.formats import Format, Linear, Log2
from golden.spec.modes import Mode, mode

__all__ = [
    "ATTENTION",
    "TABLE_FORMAT",
    "QuantizedDense",
    "QuantizedLayer",
    "QuantizedModel",
    "QuantizedProducts",
    "QuantizedTable",
    "quantized_encoder",
]


TABLE_FORMAT = Linear(8)
"""Format of the embedding tables."""

ATTENTION = mode("w8a8")
"""Mode of attention GEMMs."""


@dataclass(frozen=True)
class QuantizedDense:
    """Quantized linear layer.

    `codes` [in, out] are in `format`; `scale` is float64 [] or [out], `bias` is float32 [out].
    """

    codes: NDArray[np.integer]
    format: Format
    scale: NDArray[np.float64]
    bias: NDArray[np.float32]


@dataclass(frozen=True)
class QuantizedLayer:
    """Quantized encoder layer.

    `dense` holds linear layers by name (DENSE_NAMES), `activations` formats and scales by site
    (SITES).
    """

    dense: Mapping[str, QuantizedDense]
    activations: Mapping[str, Activation]
    attention_norm: Norm
    output_norm: Norm


@dataclass(frozen=True)
class QuantizedTable:
    """Quantized embedding table: int8 codes [rows, hidden] in TABLE_FORMAT at one scale."""

    codes: NDArray[np.integer]
    scale: float


@dataclass(frozen=True)
class QuantizedModel:
    """BERT with GEMMs in `mode` and 8-bit embedding tables.

    `tables` are named word, position and kind. The float32 `head`, if any, maps pooled states to a
    task's outputs. A piece-wise weight has its own ratio and offset in its format. Raises
    ValueError for inconsistent parts: names, shapes, types, formats other than the mode's, illegal
    codes, values that are not finite, and scales not above 0.
    """

    mode: Mode
    config: BertConfig
    tables: Mapping[str, QuantizedTable]
    embedding_norm: Norm
    layers: tuple[QuantizedLayer, ...]
    head: Head | None = None

    def __post_init__(self) -> None:
        hidden = self.config.hidden
        rows = {"word": self.config.vocabulary, "position": self.config.positions, "kind": 2}
        expect("tables", sorted(rows), sorted(self.tables))
        for name, table in self.tables.items():
            expect(f"tables.{name}: shape", (rows[name], hidden), table.codes.shape)
            check_codes(table.codes, TABLE_FORMAT, f"tables.{name}")
            check_scale(table.scale, TABLE_FORMAT.max_value, f"tables.{name}.scale")
        _check_norm(self.embedding_norm, hidden, "embedding_norm")
        expect("layers", self.config.layers, len(self.layers))
        for index, layer in enumerate(self.layers):
            self._check_layer(layer, f"layers.{index}")
        if self.head is not None:
            expect("head.weight: rows", hidden, len(self.head.weight))

    def _check_layer(self, layer: QuantizedLayer, where: str) -> None:
        expect(f"{where}.dense", sorted(DENSE_NAMES), sorted(layer.dense))
        for name, dense in layer.dense.items():
            shape = self.config.dense_shape(name)
            expect(f"{where}.{name}.codes: shape", shape, dense.codes.shape)
            check_reals(dense.bias, shape[1:], f"{where}.{name}.bias")
            expect(f"{where}.{name}.scale: type", np.dtype(np.float64), dense.scale.dtype)
            if dense.scale.shape not in ((), shape[1:]):
                got = dense.scale.shape
                raise ValueError(
                    f"{where}.{name}.scale: expected shape () or {shape[1:]}, got {got}"
                )
            if not _runs(dense.format, self.mode.w_format):
                raise ValueError(
                    f"{where}.{name}: expected {self.mode.w_format} weights, got {dense.format}"
                )
            # Check the scale against code value 1, not the largest value, because log2 weights do
            # not always use their largest codes.
            check_scale(dense.scale, 1, f"{where}.{name}.scale")
            check_codes(dense.codes, dense.format, f"{where}.{name}.codes")
        expect(f"{where}.activations", sorted(SITES), sorted(layer.activations))
        for site, activation in layer.activations.items():
            expected = site_format(self.mode, site)
            if activation.format != expected and not (
                site in INPUT_SITES and _runs(activation.format, expected)
            ):
                raise ValueError(
                    f"{where}.{site}: format: expected {expected}, got {activation.format}"
                )
            check_scale(activation.scale, activation.format.max_value, f"{where}.{site}.scale")
        _check_norm(layer.attention_norm, self.config.hidden, f"{where}.attention_norm")
        _check_norm(layer.output_norm, self.config.hidden, f"{where}.output_norm")


def _runs(fmt: Format, built: Format) -> bool:
    """Whether hardware built for format `built` can run codes in `fmt`.

    Codes of 5 to 7 bits run as codes of 8 bits; the ratio and the offset may differ.
    """
    if isinstance(fmt, Log2) or isinstance(built, Log2):
        return fmt == built
    return type(fmt) is type(built) and fmt.code_width == built.code_width


class QuantizedProducts:
    """Products of a quantized model, computed as jobs by a backend.

    Q, K and V are computed from the same codes of x and requantized to int8. The result of P V is
    requantized to site `output` if that site's format is linear with 8 or 4 bits; otherwise to site
    `context`, and from there quantized to site `output` on the host. All other results are float32.
    Raises ValueError for a scale or bias that the requantizer cannot express.
    """

    def __init__(self, model: QuantizedModel, backend: Backend) -> None:
        self._backend = backend
        self._activations = [layer.activations for layer in model.layers]
        self._parts: list[dict[str, _Part]] = []
        self._contexts: list[Epilogue] = []
        for index, layer in enumerate(model.layers):
            try:
                self._parts.append({name: _Part(model.mode, layer, name) for name in DENSE_NAMES})
                self._contexts.append(_context_epilogue(layer.activations, model.config.head_width))
            except ValueError as error:
                raise ValueError(f"layers.{index}.{error}") from None

    def project(self, layer: int, x: Real) -> tuple[Operand, Operand, Operand]:
        codes = self._codes(layer, "hidden", x)
        parts = self._parts[layer]
        query, key, value = self._backend(
            [parts[name].job(layer, codes) for name in ("query", "key", "value")]
        )
        return query, key, value

    def scores(self, layer: int, query: Operand, key: Operand) -> Real:
        shape = (*query.shape[:-1], key.shape[-2])
        transposed = key.swapaxes(-1, -2)
        sums = self._per_head("scores", layer, query, transposed, None)
        scales = self._activations[layer]
        unit = 1 / (scales["query"].scale * scales["key"].scale)
        return (np.stack(sums) * unit).astype(np.float32).reshape(shape)

    def context(self, layer: int, probabilities: Real, value: Operand) -> Operand:
        scales = self._activations[layer]
        codes = self._codes(layer, "probabilities", probabilities)
        sums = self._per_head("context", layer, codes, value, self._contexts[layer])
        joined = np.stack(sums).reshape(value.shape)
        if requantizable(scales["output"].format):
            return joined
        real = dequantize(joined, scales["context"].format, scales["context"].scale)
        return quantize(real, scales["output"].format, scales["output"].scale)

    def dense(self, name: str, layer: int, x: Operand) -> Real:
        codes = x if name == "output" else self._codes(layer, name, x)
        part = self._parts[layer][name]
        (total,) = self._backend([part.job(layer, codes)])
        return (total * part.unit).astype(np.float32)

    def _codes(self, layer: int, site: str, x: Operand) -> NDArray[np.integer]:
        activation = self._activations[layer][site]
        try:
            return quantize(x, activation.format, activation.scale)
        except ValueError as error:
            raise ValueError(f"layers.{layer}.{site}: {error}") from None

    def _per_head(
        self, name: str, layer: int, x: Operand, w: Operand, epilogue: Epilogue | None
    ) -> list[NDArray[np.integer]]:
        batch, heads = x.shape[:2]
        return self._backend(
            [
                Job(
                    f"{name}/{head}", ATTENTION, x[item, head], w[item, head], None, epilogue, layer
                )
                for item in range(batch)
                for head in range(heads)
            ]
        )


def quantized_encoder(model: QuantizedModel, backend: Backend) -> Encoder:
    """Encoder of a quantized model with products computed by `backend`.

    Errors as `QuantizedProducts`.
    """
    norms = [(layer.attention_norm, layer.output_norm) for layer in model.layers]
    products = QuantizedProducts(model, backend)
    return Encoder(model.config, _lookup(model.tables), model.embedding_norm, norms, products)


class _Part:
    """Linear layer prepared for jobs.

    It contains the bias in accumulator units, the epilogue (Q, K and V only), and `unit`, the real
    value of one accumulator unit.
    """

    def __init__(self, mode: Mode, layer: QuantizedLayer, name: str) -> None:
        dense = layer.dense[name]
        activation = layer.activations[input_site(name)]
        per_one = np.broadcast_to(activation.scale * dense.scale, dense.bias.shape)
        bias = np.rint(dense.bias * per_one)
        if np.abs(bias).max() > BIAS_MAX:
            got = f"{np.abs(bias).max():.0f}"
            raise ValueError(
                f"{name}.bias: expected at most {BIAS_MAX} in units of a sum, got {got}"
            )
        self._name = name
        self._mode = replace(mode, w_format=dense.format)
        self._codes = dense.codes
        self._bias = bias.astype(np.int32)
        result = layer.activations[name] if name not in INPUT_SITES else None
        self._epilogue = None
        if result is not None:
            self._epilogue = _epilogue(result.scale / per_one, result.format, name)
        self.unit = 1 / per_one

    def job(self, layer: int, x: NDArray[np.integer]) -> Job:
        return Job(self._name, self._mode, x, self._codes, self._bias, self._epilogue, layer)


def _context_epilogue(scales: Mapping[str, Activation], width: int) -> Epilogue:
    """Epilogue of P V: requantizes to site `output` if its format allows it, else to `context`."""
    result = scales["output" if requantizable(scales["output"].format) else "context"]
    unit = scales["probabilities"].scale * scales["value"].scale
    return _epilogue(np.full(width, result.scale / unit), result.format, "context")


def _epilogue(factors: NDArray[np.float64], fmt: Format, name: str) -> Epilogue:
    try:
        mult, shift = encode_factors(factors)
    except ValueError as error:
        raise ValueError(f"{name}.{error} between the scales of its sums and its results") from None
    return Epilogue(mult, shift, 4 if fmt.code_width == 4 else 8)


def _lookup(tables: Mapping[str, QuantizedTable]) -> Callable[[str, NDArray[np.integer]], Real]:
    def lookup(name: str, indices: NDArray[np.integer]) -> Real:
        table = tables[name]
        return dequantize(table.codes[indices], TABLE_FORMAT, table.scale).astype(np.float32)

    return lookup


def _check_norm(norm: Norm, hidden: int, where: str) -> None:
    check_reals(norm.weight, (hidden,), f"{where}.weight")
    check_reals(norm.bias, (hidden,), f"{where}.bias")
