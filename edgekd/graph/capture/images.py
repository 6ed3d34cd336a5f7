"""A pass that turns the tensors of one-axis networks, (C, L), into images of height 1, (C, 1, L), from end to end.

Every one-axis operator is captured as a two-axis one between two reshapes. An operator between two of them that works
value by value, or channel by channel, is moved in front of the reshape, so that the two reshapes cancel.
"""

from dataclasses import replace

from edgekd.graph.ops import GlobalAveragePool, Mean, Reshape
from edgekd.graph.structure import Graph, Operator


def keep_images(graph: Graph) -> Graph:
    """The graph with images wherever only means over the length, or operators with `frames_as_images`, read frames."""
    tensors, operators = dict(graph.tensors), list[Operator]()
    images: dict[str, str] = {}  # a tensor (C, L) -> the same as an image (C, 1, L)
    for op in graph.operators:
        inputs = tuple(images.get(name, "") for name in op.inputs)
        if isinstance(op, Reshape) and _drops_height(tensors[op.inputs[0]].shape, tensors[op.output].shape):
            images[op.output] = op.inputs[0]
        elif isinstance(op, Mean) and op.axes == (1,) and all(inputs):
            op = GlobalAveragePool(op.name, inputs, op.output, source=op.source)
        elif op.frames_as_images and all(inputs):
            channels, length = tensors[op.output].shape
            name = images[op.output] = f"{op.output}/image"
            tensors[name] = replace(tensors[op.output], name=name, shape=(channels, 1, length))
            operators.append(replace(op, inputs=inputs, output=name))
            op = Reshape(f"{op.name}/frames", (name,), op.output, source=op.source)
        operators.append(op)
    return replace(graph, tensors=tensors, operators=tuple(operators))


def _drops_height(before: tuple[int, ...], after: tuple[int, ...]) -> bool:
    return len(before) == 3 and before[1] == 1 and after == (before[0], before[2])
