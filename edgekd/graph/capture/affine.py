"""Products and sums with constants, batch norm among them: folded into the layer before, or kept as operators."""

from dataclasses import dataclass, replace

import numpy as np

from edgekd.graph.ops import Add, Constant, Conv2d, Mul, Reshape
from edgekd.graph.structure import Array, Graph, Operator, Tensor, Weighted


@dataclass(frozen=True)
class BatchNorm(Operator):
    """A temporary operator, y = x * scale + shift, which `fold_batch_norm` removes from the captured graph.

    Scale and shift are vectors along the first axis, or have as many axes as x and broadcast to it.
    """

    frames_as_images = True

    scale: Array
    shift: Array


def fold_batch_norm(graph: Graph) -> Graph:
    """Fold each BatchNorm into the layer before it where nothing else reads that; else write it as operators."""
    operators: dict[str, Operator] = {}  # by output
    aliases: dict[str, str] = {}
    for op in graph.operators:
        alone = all(_has_one_reader(name, graph, aliases) for name in op.inputs)
        op = replace(op, inputs=tuple(aliases.get(name, name) for name in op.inputs))
        if not isinstance(op, BatchNorm):
            operators[op.output] = op
            continue
        shape = graph.tensors[op.output].shape
        op = replace(op, scale=_align(op.scale, shape), shift=_align(op.shift, shape))
        layer = _fold(op, graph, operators) if alone else None
        if layer:
            operators[layer.output] = layer
        if layer or ((op.scale == 1).all() and (op.shift == 0).all()):
            aliases[op.output] = op.inputs[0]
            continue
        before = operators.get(op.inputs[0])
        if isinstance(before, BatchNorm) and alone:
            del operators[before.output]
            shift = before.shift * op.scale + op.shift
            op = replace(op, inputs=before.inputs, scale=before.scale * op.scale, shift=shift)
        operators[op.output] = op
    tensors = dict(graph.tensors)
    result: list[Operator] = []
    for op in operators.values():
        result += _as_operators(op, tensors) if isinstance(op, BatchNorm) else [op]
    outputs = tuple(aliases.get(name, name) for name in graph.outputs)
    return replace(graph, operators=tuple(result), tensors=tensors, outputs=outputs)


def _has_one_reader(tensor: str, graph: Graph, aliases: dict[str, str]) -> bool:
    """Has the tensor one reader, and so every tensor that it replaces, and is none of them an output?"""
    alone = len(graph.consumers(tensor)) == 1 and tensor not in graph.outputs
    return alone and (tensor not in aliases or _has_one_reader(aliases[tensor], graph, aliases))


def _align(values: Array, shape: tuple[int, ...]) -> Array:
    """The values with as many axes as `shape`."""
    if values.ndim == 1:
        return values.reshape(-1, *[1] * (len(shape) - 1))
    return values[:, None] if values.ndim < len(shape) else values  # frames (C, L) have become images (C, 1, L)


def _fold(op: BatchNorm, graph: Graph, producers: dict[str, Operator]) -> Weighted | None:
    """The layer before with scale and shift folded into its weight and bias; None where that is impossible."""
    before = producers.get(op.inputs[0])
    if isinstance(before, Reshape) and _has_one_reader(before.inputs[0], graph, {}):  # it leaves channels alone
        before = producers.get(before.inputs[0])
    if not isinstance(before, Weighted) or before.activation != "none" or _shares_parameters(before, graph):
        return None
    axis = before.channel_axis
    shape = graph.tensors[op.output].shape
    if shape[axis] != len(before.bias) or not all(_along(values, axis) for values in (op.scale, op.shift)):
        return None
    scale, shift = (np.broadcast_to(values.ravel(), before.bias.shape) for values in (op.scale, op.shift))
    weight = before.weight * scale.reshape(-1, *[1] * (before.weight.ndim - 1))
    bias = before.bias * scale + shift
    return replace(before, weight=weight.astype(np.float32), bias=bias.astype(np.float32))


def _shares_parameters(op: Weighted, graph: Graph) -> bool:
    """Do two operators use these parameters?"""
    return bool(op.shares) or any(other.shares == op.name for other in graph.weighted())


def _along(values: Array, axis: int) -> bool:
    """Do the values vary along this axis alone?"""
    return bool(values.size == values.shape[axis])


def _as_operators(op: BatchNorm, tensors: dict[str, Tensor]) -> list[Operator]:
    """The operators for a BatchNorm that stays: a 1 x 1 depthwise convolution on images, else a product and a sum."""
    shape = tensors[op.output].shape
    scales, shifts = bool((op.scale != 1).any()), bool((op.shift != 0).any())
    one_number = op.scale.size == op.shift.size == 1 and not (scales and shifts)
    if len(shape) == 3 and not one_number and _along(op.scale, 0) and _along(op.shift, 0):
        scale, shift = (np.broadcast_to(v.ravel(), shape[:1]).astype(np.float32) for v in (op.scale, op.shift))
        return [
            Conv2d(op.name, op.inputs, op.output, scale.reshape(-1, 1, 1, 1), shift, groups=shape[0], source=op.source)
        ]
    operators: list[Operator] = []
    source = op.inputs[0]
    if scales:
        output = f"{op.output}/scaled" if shifts else op.output
        tensors[output] = replace(tensors[op.output], name=output)
        operators += _with_constant(Mul, op, source, op.scale, output, tensors)
        source = output
    if shifts:
        operators += _with_constant(Add, op, source, op.shift, op.output, tensors)
    return operators


def _with_constant(
    kind: type[Mul] | type[Add], op: BatchNorm, source: str, values: Array, output: str, tensors: dict[str, Tensor]
) -> list[Operator]:
    name = f"{op.name}/{'factor' if kind is Mul else 'offset'}"
    tensors[name] = Tensor(name, values.shape)
    constant = Constant(name, (), name, values.astype(np.float32), source=op.source)
    own_name = op.name if output == op.output else output
    return [constant, kind(own_name, (source, name), output, source=op.source)]
