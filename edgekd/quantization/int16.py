"""Gives the activations of selected layers 16 bits instead of 8, for TFLite's 16x8 kernels; weights keep 8 bits.

Between 8 and 16 bits stands a Requantize, which is exact in every kernel set.
"""

from collections.abc import Collection
from dataclasses import replace

from edgekd.errors import UnsupportedOperatorError
from edgekd.graph.ops import Requantize
from edgekd.graph.structure import Graph, Operator, Tensor
from edgekd.quantization.islands import real_tensors


def with_int16_layers(graph: Graph, layers: Collection[str] = ()) -> Graph:
    """A float graph whose `layers` read and write 16-bit codes; its inputs and outputs keep 8 bits.

    Raises:
        UnsupportedOperatorError: a layer has no such kernel.
    """
    inside, real = {op.name for op in graph.operators if op.name in layers}, real_tensors(graph)
    for op in graph.operators:
        if op.name in inside and op.output in real:
            raise UnsupportedOperatorError(
                f"layer {op.name} ({type(op).__name__}, {op.source}) is to be kept in float and to have 16 bits",
                "name it in quantize.float_layers or in quantize.int16_layers",
            )
        if op.name in inside and (not op.int16 or graph.tensors[op.output].like):
            raise UnsupportedOperatorError(
                f"layer {op.name} ({type(op).__name__}, {op.source}) has no kernel for 16-bit activations",
                "take it out of quantize.int16_layers, or name it in quantize.float_layers",
            )
    tensors, operators = dict(graph.tensors), list[Operator]()
    wide: dict[str, str] = {}  # a tensor of 8 bits -> the same in 16 bits
    for op in graph.operators:
        if not op.inputs and all(reader.name in inside for reader in graph.consumers(op.output)):
            tensors[op.output] = replace(tensors[op.output], bits=16)
            wide[op.output] = op.output
        if op.name not in inside:
            operators.append(op)
            continue
        for name in dict.fromkeys(op.inputs):
            if name not in wide:
                wide[name] = f"{name}/int16"
                tensors[wide[name]] = Tensor(wide[name], tensors[name].shape, bits=16)
                operators.append(Requantize(wide[name], (name,), wide[name], source=op.source))
        narrow = op.output in graph.outputs or any(c.name not in inside for c in graph.consumers(op.output))
        wide[op.output] = f"{op.output}/int16" if narrow else op.output
        tensors[wide[op.output]] = Tensor(wide[op.output], tensors[op.output].shape, bits=16)
        operators.append(replace(op, inputs=tuple(wide[name] for name in op.inputs), output=wide[op.output]))
        if narrow:
            operators.append(Requantize(f"{op.name}/int8", (wide[op.output],), op.output, source=op.source))
    return replace(graph, tensors=tensors, operators=tuple(operators))
