"""PAD before a convolution or a pool, as exporters write it, becomes the padding of that operator."""

from dataclasses import replace

import numpy as np

from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.ops import Conv2d, MaxPool2d, Pad
from edgekd.graph.structure import Graph, Operator


def with_folded_padding(graph: Graph) -> Graph:
    """The graph without the Pads that the one operator after them can do itself."""
    operators = list(graph.operators)
    tensors = dict(graph.tensors)
    for pad in graph.operators:
        if not isinstance(pad, Pad) or pad.output in graph.outputs:
            continue
        readers = [op for op in operators if pad.output in op.inputs]
        if len(readers) != 1 or not _folds(graph, pad, readers[0]):
            continue
        operators[operators.index(readers[0])] = _padded(pad, readers[0])
        operators.remove(pad)
        del tensors[pad.output]
    return replace(graph, tensors=tensors, operators=tuple(operators))


def _folds(graph: Graph, pad: Pad, reader: Operator) -> bool:
    """Real zeros around an image before a convolution, or the lowest value before a maximum."""
    if len(pad.amounts) != 3 or pad.amounts[0] != (0, 0):
        return False
    if isinstance(reader, Conv2d):
        return pad.value == 0
    codes = graph.tensors[pad.output].quantization
    if not isinstance(reader, MaxPool2d) or codes is None:
        return False
    return bool(quantize(np.array(pad.value), codes) == codes.lowest)


def _padded(pad: Pad, reader: Operator) -> Operator:
    assert isinstance(reader, Conv2d | MaxPool2d)
    _, (top, bottom), (left, right) = pad.amounts
    before = reader.padding
    padding = (before[0] + top, before[1] + bottom, before[2] + left, before[3] + right)
    return replace(reader, inputs=pad.inputs, padding=padding)
