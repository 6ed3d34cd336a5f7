"""One small float graph for each operator class, and graphs that a format refuses, for the operators' contract."""

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


def single(kind: type[Operator], *shapes: tuple[int, ...], to: tuple[int, ...] | None = None, **fields: Any) -> Graph:
    """Return a graph of the operator "layer" with inputs of `shapes` and an output of the shape `to`."""
    names = tuple(f"input_{i}" for i in range(len(shapes)))
    tensors = {name: Tensor(name, shape) for name, shape in zip(names, shapes, strict=True)}
    tensors["layer"] = Tensor("layer", shapes[0] if to is None else to)
    operator = kind(name="layer", inputs=names, output="layer", source="nets.py:7", **fields)
    return Graph(names, ("layer",), tensors, (operator,))


def normal(*shape: int) -> Array:
    """Return float32 values, which are the same for the same shape."""
    return np.random.default_rng(prod(shape)).normal(size=shape).astype(np.float32)


def with_weights(*shape: int) -> dict[str, Array]:
    """Return weights of a shape, outputs first, and a bias."""
    return {"weight": normal(*shape), "bias": normal(shape[0])}


def _embedding() -> Graph:
    graph = single(ops.Embedding, (5,), to=(5, 6), weight=normal(VOCABULARY, 6))
    return replace(graph, tensors={**graph.tensors, "input_0": Tensor("input_0", (5,), kind="index")})


def _constant() -> Graph:
    """Return a graph that adds a constant to its input, since outputs must depend on inputs."""
    graph = single(ops.Add, (3, 4, 4), (3, 1, 1))
    constant = ops.Constant("offset", (), "input_1", normal(3, 1, 1), source="nets.py:6")
    return replace(graph, inputs=("input_0",), operators=(constant, *graph.operators))


def _requantize() -> Graph:
    graph = single(ops.Requantize, (3, 4, 4))
    coarser = replace(graph.tensors["layer"], fixed=Quantization(0.125, 3))
    return replace(graph, tensors={**graph.tensors, "layer": coarser})


def _float_island() -> Graph:
    """Return a graph with a ReLU on real values."""
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
    ops.Conv2d: single(
        ops.Conv2d, IMAGE, to=(4, 4, 4), **with_weights(4, 6, 3, 3), stride=(2, 2), padding=(1, 1, 1, 1)
    ),
    ops.ConvTranspose2d: single(ops.ConvTranspose2d, IMAGE, to=(4, 17, 17), **with_weights(4, 6, 3, 3), stride=(2, 2)),
    ops.Linear: single(ops.Linear, MATRIX, to=(5, 7), **with_weights(7, 12)),
    ops.Add: single(ops.Add, IMAGE, IMAGE, activation="relu6"),
    ops.Sub: single(ops.Sub, IMAGE, IMAGE),
    ops.Mul: single(ops.Mul, IMAGE, IMAGE, activation="relu"),
    ops.Relu: single(ops.Relu, IMAGE),
    ops.Unary: single(ops.Unary, IMAGE, function="gelu"),
    ops.Prelu: single(ops.Prelu, IMAGE, slope=normal(6)),
    ops.GlobalAveragePool: single(ops.GlobalAveragePool, IMAGE, to=(6,)),
    ops.Mean: single(ops.Mean, MATRIX, to=(5,), axes=(1,)),
    ops.MaxPool2d: single(ops.MaxPool2d, IMAGE, to=(6, 4, 4), kernel=(2, 2), stride=(2, 2)),
    ops.AveragePool2d: single(ops.AveragePool2d, IMAGE, to=(6, 4, 4), kernel=(2, 2), stride=(2, 2)),
    ops.Pad: single(ops.Pad, IMAGE, to=(6, 10, 9), amounts=((0, 0), (1, 1), (0, 1)), value=0.5),
    ops.Slice: single(ops.Slice, IMAGE, to=(6, 4, 8), ranges=((0, 6, 1), (0, 8, 2), (0, 8, 1))),
    ops.Reshape: single(ops.Reshape, IMAGE, to=(384,)),
    ops.Transpose: single(ops.Transpose, IMAGE, to=(8, 6, 8), order=(1, 0, 2)),
    ops.Concat: single(ops.Concat, IMAGE, (2, 8, 8), to=(8, 8, 8), axis=0),
    ops.Take: single(ops.Take, IMAGE, to=(6, 8, 4), positions=(None, None, (0, 5, 2, 2))),
    ops.Resize: single(ops.Resize, IMAGE, to=(6, 16, 11)),
    ops.Requantize: _requantize(),
    ops.Constant: _constant(),
    ops.MatMul: single(ops.MatMul, MATRIX, MATRIX, to=(5, 5), transpose_b=True),
    ops.Softmax: single(ops.Softmax, MATRIX, beta=0.5),
    ops.LayerNorm: single(ops.LayerNorm, MATRIX, weight=normal(12), bias=normal(12)),
    ops.GroupNorm: single(ops.GroupNorm, IMAGE, weight=normal(6), bias=normal(6), groups=3, activation="relu6"),
    ops.Embedding: _embedding(),
    ops.Dequantize: _float_island(),
    ops.Quantize: _float_island(),
}
"""A graph for each operator class, which computes the output or an operand of it."""

MACS = {ops.Conv2d: 4 * 6 * 9 * 16, ops.ConvTranspose2d: 6 * 4 * 9 * 64, ops.Linear: 7 * 12 * 5, ops.MatMul: 5 * 12 * 5}
"""The multiply-accumulates of the examples that have any."""


@dataclass(frozen=True)
class Refusal:
    """A graph that a format refuses, because its runtime has no exact kernel for it.

    Attributes:
        format: the name of the format in the catalog.
        says: the text of the message, besides the layer's name and line.
    """

    format: str
    graph: Graph
    says: str


TOO_LARGE = single(ops.GroupNorm, (3, 43691), weight=normal(3), bias=normal(3))
REFUSED: dict[str, Refusal] = {
    "a layer norm over more than 1024 values": Refusal(
        "tflite",
        single(ops.LayerNorm, (2, 1025), weight=normal(1025), bias=normal(1025)),
        "1025 squared codes have no exact sum in float32",
    ),
    "a layer norm over fewer than 8 values": Refusal(
        "onnx", single(ops.LayerNorm, (5, 4), weight=normal(4), bias=normal(4)), "kernel for 4 values is not exact"
    ),
    "a group norm over more than 2^17 values, in TFLite": Refusal("tflite", TOO_LARGE, "groups of 131073 codes"),
    "a group norm over more than 2^17 values, in ONNX": Refusal("onnx", TOO_LARGE, "groups of 131073 codes"),
    "a group norm over more than 1024 channels": Refusal(
        "tflite", single(ops.GroupNorm, (1025,), weight=normal(1025), bias=normal(1025)), "groups of 1025 channels"
    ),
    "an average of an even window whose padding is left out": Refusal(
        "tflite",
        single(ops.AveragePool2d, IMAGE, to=(6, 5, 5), kernel=(2, 2), stride=(2, 2), padding=(1, 1, 1, 1)),
        "can't leave padding of (1, 1, 1, 1) out of the count",
    ),
}
"""Graphs that have no exact form in a format."""


def shapes(graph: Graph) -> tuple[Example, ...]:
    """Return the examples for `support.networks.quantized`: a shape, or a sample of tokens."""
    tokens = torch.full((5,), VOCABULARY - 1, dtype=torch.int32)
    return tuple(tokens if graph.tensors[name].kind == "index" else graph.tensors[name].shape for name in graph.inputs)
