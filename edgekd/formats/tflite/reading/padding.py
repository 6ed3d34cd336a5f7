"""Gives the reader of files a graph in which a PAD before a convolution or a max pool is that operator's padding."""

from dataclasses import replace

import numpy as np

from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.ops import Conv2d, MaxPool2d, Pad
from edgekd.graph.structure import Graph, Operator


def fold_padding(graph: Graph) -> Graph:
    """Return the graph without each Pad whose only reader can pad its input itself."""
    operators = list(graph.operators)
    tensors = dict(graph.tensors)
    for pad in graph.operators:
        if not isinstance(pad, Pad) or pad.output in graph.outputs:
            continue
        readers = [op for op in operators if pad.output in op.inputs]
        if len(readers) != 1 or not _can_fold(graph, pad, readers[0]):
            continue
        operators[operators.index(readers[0])] = _with_padding(pad, readers[0])
        operators.remove(pad)
        del tensors[pad.output]
    return replace(graph, tensors=tensors, operators=tuple(operators))


def _can_fold(graph: Graph, pad: Pad, reader: Operator) -> bool:
    """Return whether a Pad adds zeros to an image before a convolution, or the lowest code before a max pool."""
    if len(pad.amounts) != 3 or pad.amounts[0] != (0, 0):
        return False
    if isinstance(reader, Conv2d):
        return pad.value == 0
    codes = graph.tensors[pad.output].quantization
    if not isinstance(reader, MaxPool2d) or codes is None:
        return False
    return bool(quantize(np.array(pad.value), codes) == codes.lowest)


def _with_padding(pad: Pad, reader: Operator) -> Operator:
    assert isinstance(reader, Conv2d | MaxPool2d)
    _, (top, bottom), (left, right) = pad.amounts
    own_padding = reader.padding
    padding = (own_padding[0] + top, own_padding[1] + bottom, own_padding[2] + left, own_padding[3] + right)
    return replace(reader, inputs=pad.inputs, padding=padding)
