"""Export of a trained model to golden: codes and scales."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from golden.bert.head import Head
from golden.bert.quantized import QuantizedDense, QuantizedLayer, QuantizedModel
from golden.bert.sites import Activation
from golden.bert.weights import DENSE_KEYS, DENSE_NAMES, Norm
from golden.numeric.quantize import quantize
from train.bert import QuantizedBert
from train.objectives import Headed, Objective

__all__ = ["exported"]


def exported(model: QuantizedBert, objective: Objective | None = None) -> QuantizedModel:
    """The model as golden computes it: codes of its fake quantizers, float32 biases and norms.

    The head of `objective`, if any, is included. `golden.bert.quantized.quantized_encoder` raises
    ValueError if the requantizer cannot express a trained scale.
    """
    layers = []
    for layer, start in zip(model.layers, model.start.layers, strict=True):
        dense = {}
        for name in DENSE_NAMES:
            (quantizer,), weight = model.parametrized(layer, name)
            scale = np.array(quantizer.scale.item())
            codes = quantize(weight.numpy(force=True).T, quantizer.format, float(scale))
            bias = _copied(layer.get_submodule(DENSE_KEYS[name]).bias)
            dense[name] = QuantizedDense(np.ascontiguousarray(codes), quantizer.format, scale, bias)
        sites = layer.attention.self.sites
        activations = {
            site: Activation(each.format, sites[site].scale.item())
            for site, each in start.activations.items()
        }
        norms = (_norm(layer.attention.output.LayerNorm), _norm(layer.output.LayerNorm))
        layers.append(QuantizedLayer(dense, activations, *norms))
    embedding_norm = _norm(model.bert.embeddings.LayerNorm)
    return replace(
        model.start, embedding_norm=embedding_norm, layers=tuple(layers), head=_head(objective)
    )


def _head(objective: Objective | None) -> Head | None:
    if not isinstance(objective, Headed):
        return None
    weight = np.ascontiguousarray(_copied(objective.head.weight).T)
    return Head(objective.task.name, weight, _copied(objective.head.bias))


def _norm(module: Any) -> Norm:
    return Norm(_copied(module.weight), _copied(module.bias))


def _copied(tensor: Tensor) -> NDArray[np.float32]:
    # A copy: numpy() returns a view, which further training would change.
    return np.array(tensor.numpy(force=True), np.float32)
