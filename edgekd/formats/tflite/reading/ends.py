"""The ends of a file: its inputs become the graph's, and the graph is what its outputs need."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from edgekd.errors import ModelError
from edgekd.formats.tflite.reading.content import damaged
from edgekd.formats.tflite.reading.network import OUTER, Network
from edgekd.graph.structure import Graph


def take_inputs(net: Network, axes: Sequence[tuple[int, ...]]) -> None:
    """Declare the inputs; `axes` says for each which of torch's axes each of the file's is, without the batch."""
    for tensor, places in zip(net.content.inputs, axes, strict=True):
        stored = net.content.tensors[tensor]
        if stored.open_axes or len(stored.shape) < 2 or stored.shape[0] != 1:
            raise without_batch(stored.name, stored.shape)
        if tensor in net.values or tensor in net.shapes:
            raise damaged(f"input {stored.name} stands in it twice, or is a constant")
        net.shapes[tensor], net.places[tensor] = stored.shape, tuple(places)
        if sorted(places) != list(range(len(stored.shape) - 1)):
            raise damaged(f"the axes of input {stored.name} are {places}")
        if stored.dtype in (np.dtype(np.int8), np.dtype(np.int16), np.dtype(np.int32)):
            net.take(tensor, tensor)
        elif stored.dtype not in OUTER:
            raise damaged(f"input {stored.name} is {stored.type_name}; edgekd reads codes, real values and int32")


def finish(net: Network, axes: Sequence[tuple[int, ...]]) -> Graph:
    """The graph of all that the outputs need; `axes` as those of the inputs."""
    outputs = []
    for tensor, places in zip(net.content.outputs, axes, strict=True):
        codes = net.dequantized.get(tensor, tensor)
        shape = net.shapes.get(codes)
        if shape is None or codes in net.values or codes in net.rows:
            raise damaged(f"output {net.name(tensor)} is made by no operator")
        if len(shape) < 2 or shape[0] != 1:
            raise without_batch(net.name(tensor), shape)
        if sorted(places) != list(range(len(shape) - 1)):
            raise damaged(f"the axes of output {net.name(tensor)} are {places}")
        outputs.append(net.read(codes, tuple(int(place) + 1 for place in np.argsort(places))))
    for tensor in net.places:
        if tensor not in net.input_codes:
            kind = net.content.tensors[tensor].type_name
            raise damaged(f"input {net.name(tensor)} is {kind} and never quantized")
    names = tuple(net.forms[net.input_codes[tensor]][0].name for tensor in net.places)
    graph = Graph(names, tuple(outputs), net.tensors, tuple(net.operators)).until(*outputs)
    return replace(graph, inputs=names, tensors={**{n: net.tensors[n] for n in names}, **graph.tensors})


def without_batch(name: str, shape: Sequence[int]) -> ModelError:
    """The error for an input or output that does not begin with a batch of 1."""
    return ModelError(
        f"tensor {name} has the shape {tuple(shape)}; its first axis has to be a batch of 1 or open",
        "convert the network with a batch of 1 and all other axes fixed",
    )
