"""One small float graph for each operator class, and graphs that are refused by name: what the contract is shown on."""

from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
import torch

from edgekd.graph import ops
from edgekd.graph.capture import Example
from edgekd.graph.structure import Array, Graph, Operator, Quantization, Tensor

SAMPLES = 16
VOCABULARY = 9


def alone(kind: type[Operator], *shapes: tuple[int, ...], to: tuple[int, ...] | None = None, **fields: Any) -> Graph:
    """The operator "layer" between inputs of `shapes` and an output of the shape `to`, by default the first input's."""
    names = tuple(f"input_{i}" for i in range(len(shapes)))
    tensors = {name: Tensor(name, shape) for name, shape in zip(names, shapes, strict=True)}
    tensors["layer"] = Tensor("layer", shapes[0] if to is None else to)
    operator = kind(name="layer", inputs=names, output="layer", source="nets.py:7", **fields)
    return Graph(names, ("layer",), tensors, (operator,))


def normal(*shape: int) -> Array:
    """float32 values; the same for the same shape."""
    return np.random.default_rng(prod(shape)).normal(size=shape).astype(np.float32)


def with_weights(*shape: int) -> dict[str, Array]:
    """Weights of a shape, outputs first, and a bias."""
    return {"weight": normal(*shape), "bias": normal(shape[0])}


def _embedding() -> Graph:
    graph = alone(ops.Embedding, (5,), to=(5, 6), weight=normal(VOCABULARY, 6))
    return replace(graph, tensors={**graph.tensors, "input_0": Tensor("input_0", (5,), kind="index")})


def _constant() -> Graph:
    """Added to the input: a graph gives out what depends on its inputs."""
    graph = alone(ops.Add, (3, 4, 4), (3, 1, 1))
    constant = ops.Constant("offset", (), "input_1", normal(3, 1, 1), source="nets.py:6")
    return replace(graph, inputs=("input_0",), operators=(constant, *graph.operators))


def _requantize() -> Graph:
    graph = alone(ops.Requantize, (3, 4, 4))
    coarser = replace(graph.tensors["layer"], fixed=Quantization(0.125, 3))
    return replace(graph, tensors={**graph.tensors, "layer": coarser})


def _float_island() -> Graph:
    """A ReLU on real values."""
    names = ("input_0", "real", "positive", "layer")
    tensors = {name: Tensor(name, (3, 4, 4)) for name in names}
    operators = (
        ops.Dequantize("real", ("input_0",), "real"),
        ops.Relu("positive", ("real",), "positive"),
        ops.Quantize("layer", ("positive",), "layer"),
    )
    return Graph(("input_0",), ("layer",), tensors, operators)


IMAGE, MATRIX = (6, 8, 8), (5, 12)
EXAMPLES: dict[type[Operator], Graph] = {
    ops.Conv2d: alone(ops.Conv2d, IMAGE, to=(4, 4, 4), **with_weights(4, 6, 3, 3), stride=(2, 2), padding=(1, 1, 1, 1)),
    ops.ConvTranspose2d: alone(ops.ConvTranspose2d, IMAGE, to=(4, 17, 17), **with_weights(4, 6, 3, 3), stride=(2, 2)),
    ops.Linear: alone(ops.Linear, MATRIX, to=(5, 7), **with_weights(7, 12)),
    ops.Add: alone(ops.Add, IMAGE, IMAGE, activation="relu6"),
    ops.Sub: alone(ops.Sub, IMAGE, IMAGE),
    ops.Mul: alone(ops.Mul, IMAGE, IMAGE, activation="relu"),
    ops.Relu: alone(ops.Relu, IMAGE),
    ops.Unary: alone(ops.Unary, IMAGE, function="gelu"),
    ops.Prelu: alone(ops.Prelu, IMAGE, slope=normal(6)),
    ops.GlobalAveragePool: alone(ops.GlobalAveragePool, IMAGE, to=(6,)),
    ops.Mean: alone(ops.Mean, MATRIX, to=(5,), axes=(1,)),
    ops.MaxPool2d: alone(ops.MaxPool2d, IMAGE, to=(6, 4, 4), kernel=(2, 2), stride=(2, 2)),
    ops.AveragePool2d: alone(ops.AveragePool2d, IMAGE, to=(6, 4, 4), kernel=(2, 2), stride=(2, 2)),
    ops.Pad: alone(ops.Pad, IMAGE, to=(6, 10, 9), amounts=((0, 0), (1, 1), (0, 1)), value=0.5),
    ops.Slice: alone(ops.Slice, IMAGE, to=(6, 4, 8), ranges=((0, 6, 1), (0, 8, 2), (0, 8, 1))),
    ops.Reshape: alone(ops.Reshape, IMAGE, to=(384,)),
    ops.Transpose: alone(ops.Transpose, IMAGE, to=(8, 6, 8), order=(1, 0, 2)),
    ops.Concat: alone(ops.Concat, IMAGE, (2, 8, 8), to=(8, 8, 8), axis=0),
    ops.Take: alone(ops.Take, IMAGE, to=(6, 8, 4), positions=(None, None, (0, 5, 2, 2))),
    ops.Resize: alone(ops.Resize, IMAGE, to=(6, 16, 11)),
    ops.Requantize: _requantize(),
    ops.Constant: _constant(),
    ops.MatMul: alone(ops.MatMul, MATRIX, MATRIX, to=(5, 5), transpose_b=True),
    ops.Softmax: alone(ops.Softmax, MATRIX, beta=0.5),
    ops.LayerNorm: alone(ops.LayerNorm, MATRIX, weight=normal(12), bias=normal(12)),
    ops.GroupNorm: alone(ops.GroupNorm, IMAGE, weight=normal(6), bias=normal(6), groups=3, activation="relu6"),
    ops.Embedding: _embedding(),
    ops.Dequantize: _float_island(),
    ops.Quantize: _float_island(),
}
"""Class -> a graph in which it computes; its output's last operator, or an operator before."""

MACS = {ops.Conv2d: 4 * 6 * 9 * 16, ops.ConvTranspose2d: 6 * 4 * 9 * 64, ops.Linear: 7 * 12 * 5, ops.MatMul: 5 * 12 * 5}
"""Multiply-accumulates of the examples, of those that have any."""


@dataclass(frozen=True)
class Refusal:
    """A graph that a format refuses, because no kernel of its runtime is exact on it, or it has none.

    Attributes:
        format: by its name in the catalog.
        says: what the message must hold, beside the layer's name and line.
    """

    format: str
    graph: Graph
    says: str


TOO_LARGE = alone(ops.GroupNorm, (3, 43691), weight=normal(3), bias=normal(3))
REFUSED: dict[str, Refusal] = {
    "a layer norm over more than 1024 values": Refusal(
        "tflite",
        alone(ops.LayerNorm, (2, 1025), weight=normal(1025), bias=normal(1025)),
        "1025 squared codes have no exact sum in float32",
    ),
    "a layer norm over fewer than 8 values": Refusal(
        "onnx", alone(ops.LayerNorm, (5, 4), weight=normal(4), bias=normal(4)), "kernel for 4 values is not exact"
    ),
    "a group norm over more than 2^17 values, in TFLite": Refusal("tflite", TOO_LARGE, "groups of 131073 codes"),
    "a group norm over more than 2^17 values, in ONNX": Refusal("onnx", TOO_LARGE, "groups of 131073 codes"),
    "a group norm over more than 1024 channels": Refusal(
        "tflite", alone(ops.GroupNorm, (1025,), weight=normal(1025), bias=normal(1025)), "groups of 1025 channels"
    ),
    "an average of an even window whose padding is left out": Refusal(
        "tflite",
        alone(ops.AveragePool2d, IMAGE, to=(6, 5, 5), kernel=(2, 2), stride=(2, 2), padding=(1, 1, 1, 1)),
        "can't leave padding of (1, 1, 1, 1) out of the count",
    ),
}
"""Settings that have no exact form in a format."""


def shapes(graph: Graph) -> tuple[Example, ...]:
    """What `support.networks.quantized` draws each input by: a shape, or a sample of tokens."""
    tokens = torch.full((5,), VOCABULARY - 1, dtype=torch.int32)
    return tuple(tokens if graph.tensors[name].kind == "index" else graph.tensors[name].shape for name in graph.inputs)
