"""QuantizedBert: a BERT of transformers with a fake quantizer wherever golden quantizes."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from transformers import AttentionInterface, AttentionMaskInterface, BertModel
from transformers.masking_utils import eager_mask

from golden.bert.calibration import most_scale
from golden.bert.quantized import (
    TABLE_FORMAT,
    QuantizedModel,
)
from golden.bert.sites import INPUT_SITES, input_site, requantizable
from golden.bert.weights import DENSE_KEYS, DENSE_NAMES
from golden.numeric.quantize import dequantize
from train import exact
from train.quantizers import ActivationQuantizer, WeightQuantizer

__all__ = ["ATTENTION", "QuantizedBert", "mean_states"]

ATTENTION = "tilebert"
"""Name under which `_attention` is registered in transformers."""

_TABLES = {
    "word": "word_embeddings",
    "position": "position_embeddings",
    "kind": "token_type_embeddings",
}


class QuantizedBert(nn.Module):
    """transformers' `bert` on golden's codes.

    In training mode codes are real values with a gradient; in evaluation mode `train.exact`
    computes the results as golden does. `start` contains the mode, formats, initial scales and the
    embedding tables, which are frozen. `fit` recomputes the scales of weights. Scales of
    activations follow the data or, with `learned`, are trained. `clip` as in golden's calibration.
    """

    def __init__(
        self, bert: BertModel, start: QuantizedModel, *, clip: bool = True, learned: bool = False
    ) -> None:
        super().__init__()
        self.bert = bert
        self.start = start
        bert.set_attn_implementation(ATTENTION)
        for name, table in start.tables.items():
            embedding = getattr(bert.embeddings, _TABLES[name])
            values = dequantize(table.codes, TABLE_FORMAT, table.scale).astype(np.float32)
            embedding.weight.data.copy_(torch.from_numpy(values))
            embedding.weight.requires_grad_(False)
        for layer, quantized in zip(self.layers, start.layers, strict=True):
            sites = {
                site: ActivationQuantizer(each.format, each.scale, learned=learned)
                for site, each in quantized.activations.items()
            }
            layer.attention.self.sites = nn.ModuleDict(sites)
            for name in DENSE_NAMES:
                dense = layer.get_submodule(DENSE_KEYS[name])
                parametrize.register_parametrization(
                    dense,
                    "weight",
                    WeightQuantizer(quantized.dense[name].format, clip=clip),
                    unsafe=True,
                )
                if name in INPUT_SITES:
                    dense.register_forward_pre_hook(_before(sites[name]))
                result = None if name in INPUT_SITES else sites[name]
                dense.register_forward_hook(_after(sites[input_site(name)], result))
            layer.attention.self.register_forward_pre_hook(_before(sites["hidden"]))
            layer.intermediate.intermediate_act_fn.register_forward_hook(
                _evaluated(_gelu), with_kwargs=True
            )
        for norm in (each for each in bert.modules() if isinstance(each, nn.LayerNorm)):
            norm.register_forward_hook(_evaluated(_layer_norm), with_kwargs=True)
        bert.embeddings.register_forward_hook(_evaluated(_embedded), with_kwargs=True)
        self.fit()

    @property
    def layers(self) -> list[Any]:
        """The BertLayers of transformers."""
        return list(self.bert.encoder.layer)

    def fit(self) -> None:
        """Recompute the scales of all weights, within the range of the requantizer."""
        for layer in self.layers:
            sites = layer.attention.self.sites
            for name in DENSE_NAMES:
                (quantizer,), weight = self.parametrized(layer, name)
                bias = layer.get_submodule(DENSE_KEYS[name]).bias.numpy(force=True)
                result = None if name in INPUT_SITES else sites[name].scale.item()
                x_scale = sites[input_site(name)].scale.item()
                quantizer.fit(weight, most_scale(bias, quantizer.format, x_scale, result))

    @staticmethod
    def parametrized(layer: Any, name: str) -> tuple[Sequence[WeightQuantizer], Tensor]:
        """Quantizer of a linear layer (DENSE_NAMES), and its unquantized weight [out, in]."""
        weights = layer.get_submodule(DENSE_KEYS[name]).parametrizations.weight
        return list(weights), weights.original

    def sentence_vectors(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Mean state of each sentence, of length 1: [B, hidden] of ids and mask [B, S]."""
        return nn.functional.normalize(mean_states(self.bert, ids, mask), dim=-1)


def mean_states(bert: Any, ids: Tensor, mask: Tensor, kinds: Tensor | None = None) -> Tensor:
    """Mean of each text's last states without padding: [B, hidden] of ids, mask and kinds [B, S].

    `kinds` defaults to 0.
    """
    states: Tensor = bert(
        input_ids=ids, attention_mask=mask, token_type_ids=kinds
    ).last_hidden_state
    inside = mask.unsqueeze(-1).to(states.dtype)
    return (states * inside).sum(1) / inside.sum(1)


def _before(quantizer: ActivationQuantizer) -> Any:
    """Pre-hook that quantizes a module's first input."""
    return lambda module, inputs: (quantizer(inputs[0]), *inputs[1:])


def _after(operand: ActivationQuantizer, result: ActivationQuantizer | None) -> Any:
    """Hook of a linear layer with x at `operand`'s scale.

    `result`, if any, requantizes the layer's sums.
    """

    def hook(module: Any, inputs: tuple[Tensor], y: Tensor) -> Tensor:
        if module.training:
            return y if result is None else result(y)
        (quantizer,) = module.parametrizations.weight
        sums, unit = exact.dense(
            inputs[0], operand.scale, module.weight, quantizer.scale, module.bias
        )
        return (
            exact.raw(sums, unit)
            if result is None
            else exact.requantized(sums, unit, result.format, result.scale)
        )

    return hook


def _evaluated(function: Callable[..., Tensor]) -> Any:
    """Hook that replaces a module's result by `function` in evaluation mode.

    `function` takes the module and its inputs.
    """

    def hook(
        module: Any, inputs: tuple[Tensor, ...], named: dict[str, Any], y: Tensor
    ) -> Tensor | None:
        return None if module.training else function(module, *inputs, **named)

    return hook


def _gelu(module: Any, x: Tensor) -> Tensor:
    return exact.gelu(x)


def _layer_norm(module: Any, x: Tensor) -> Tensor:
    return exact.layer_norm(x, module.weight, module.bias, module.eps)


def _embedded(
    module: Any, input_ids: Tensor, token_type_ids: Tensor | None = None, **_: Any
) -> Tensor:
    """Sum of embeddings in golden's order, since float addition is not associative."""
    word, position = module.word_embeddings.weight[input_ids], module.position_embeddings.weight
    kind = module.token_type_embeddings.weight[0 if token_type_ids is None else token_type_ids]
    summed = word + position[: input_ids.shape[1]] + kind
    result: Tensor = module.LayerNorm(summed)
    return result


def _attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    dropout: float = 0.0,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Attention of query, key and value [B, heads, S, width].

    Returns the context [B, S, heads, width] and the probabilities.
    """
    sites = module.sites
    # Like golden, requantize directly to the x of `output` if its format allows it.
    direct = requantizable(sites["output"].format)
    root = query.shape[-1] ** 0.5
    if module.training:
        scores = query @ key.mT / root
    else:
        scores = (
            exact.raw(*exact.product(query, sites["query"].scale, key.mT, sites["key"].scale))
            / root
        )
    if mask is not None:
        scores = scores + mask
    probabilities = sites["probabilities"](
        scores.softmax(-1) if module.training else exact.softmax(scores)
    )
    if module.training:
        context = nn.functional.dropout(probabilities, dropout) @ value
        context = context if direct else sites["context"](context)
    else:
        result = sites["output" if direct else "context"]
        sums, unit = exact.product(
            probabilities, sites["probabilities"].scale, value, sites["value"].scale
        )
        context = exact.requantized(sums, unit, result.format, result.scale)
    return context.transpose(1, 2).contiguous(), probabilities


AttentionInterface.register(ATTENTION, _attention)
# Without a mask function of the same name transformers passes no mask, and padding would count.
AttentionMaskInterface.register(ATTENTION, eager_mask)
