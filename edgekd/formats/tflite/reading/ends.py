"""Gives the reader of files the graph's inputs, and the graph of the operators that the file's outputs need."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgekd.errors import ModelError
from edgekd.formats.tflite.reading.content import damage_error
from edgekd.formats.tflite.reading.network import DTYPES_BEFORE_QUANTIZE, Network
from edgekd.graph.structure import Graph


def declare_inputs(net: Network, axes: Sequence[tuple[int, ...]]) -> None:
    """Declare the file's inputs; `axes` holds for each which of torch's axes each of its axes is, without the batch."""
    for tensor, torch_axes in zip(net.content.inputs, axes, strict=True):
        stored = net.content.tensors[tensor]
        if stored.open_axes or len(stored.shape) < 2 or stored.shape[0] != 1:
            raise batch_error(stored.name, stored.shape)
        if tensor in net.values or tensor in net.shapes:
            raise damage_error(f"input {stored.name} stands in it twice, or is a constant")
        net.shapes[tensor], net.input_axes[tensor] = stored.shape, tuple(torch_axes)
        if sorted(torch_axes) != list(range(len(stored.shape) - 1)):
            raise damage_error(f"the axes of input {stored.name} are {torch_axes}")
        if stored.dtype in (np.dtype(np.int8), np.dtype(np.int16), np.dtype(np.int32)):
            net.declare_input(tensor, tensor)
        elif stored.dtype not in DTYPES_BEFORE_QUANTIZE:
            raise damage_error(f"input {stored.name} is {stored.type_name}; edgekd reads codes, real values and int32")


def output_graph(net: Network, axes: Sequence[tuple[int, ...]]) -> Graph:
    """Return the graph of the operators that the outputs need; `axes` has the form of that of `declare_inputs`."""
    outputs = []
    for tensor, torch_axes in zip(net.content.outputs, axes, strict=True):
        codes = net.code_sources.get(tensor, tensor)
        shape = net.shapes.get(codes)
        if shape is None or codes in net.values or codes in net.rows:
            raise damage_error(f"output {net.name(tensor)} is made by no operator")
        if len(shape) < 2 or shape[0] != 1:
            raise batch_error(net.name(tensor), shape)
        if sorted(torch_axes) != list(range(len(shape) - 1)):
            raise damage_error(f"the axes of output {net.name(tensor)} are {torch_axes}")
        outputs.append(net.read(codes, tuple(int(place) + 1 for place in np.argsort(torch_axes))))
    for tensor in net.input_axes:
        if tensor not in net.input_codes:
            kind = net.content.tensors[tensor].type_name
            raise damage_error(f"input {net.name(tensor)} is {kind} and never quantized")
    names = tuple(net.forms[net.input_codes[tensor]][0].name for tensor in net.input_axes)
    graph = Graph(names, tuple(outputs), net.tensors, tuple(net.operators)).until(*outputs)
    return replace(graph, inputs=names, tensors={**{n: net.tensors[n] for n in names}, **graph.tensors})


def batch_error(name: str, shape: Sequence[int]) -> ModelError:
    """Return the error for an input or output that does not begin with a batch of 1."""
    return ModelError(
        f"tensor {name} has the shape {tuple(shape)}; its first axis has to be a batch of 1 or open",
        "convert the network with a batch of 1 and all other axes fixed",
    )
