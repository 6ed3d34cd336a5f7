"""Scale and shift by stored values: folded into the layer before, or operators of their own."""

from dataclasses import dataclass, replace

import numpy as np

from edgekd.graph.ops import Add, Constant, Conv2d, Mul, Reshape
from edgekd.graph.structure import Array, Graph, Operator, Tensor, Weighted


@dataclass(frozen=True)
class BatchNorm(Operator):
    """y = x * scale + shift; gone before anyone else sees the graph.

    Both are vectors along the first axis, or have as many axes as x and are repeated along those of length 1.
    """

    frames_as_images = True

    scale: Array
    shift: Array


def fold_batch_norm(graph: Graph) -> Graph:
    """Into the layer before where nothing else reads that; else each becomes one operator or two of its own."""
    operators: dict[str, Operator] = {}  # by output
    renamed: dict[str, str] = {}
    for op in graph.operators:
        alone = all(_read_once(name, graph, renamed) for name in op.inputs)
        op = replace(op, inputs=tuple(renamed.get(name, name) for name in op.inputs))
        if not isinstance(op, BatchNorm):
            operators[op.output] = op
            continue
        shape = graph.tensors[op.output].shape
        op = replace(op, scale=_aligned(op.scale, shape), shift=_aligned(op.shift, shape))
        folded = _folded(op, graph, operators) if alone else None
        if folded:
            operators[folded.output] = folded
        if folded or ((op.scale == 1).all() and (op.shift == 0).all()):
            renamed[op.output] = op.inputs[0]
            continue
        before = operators.get(op.inputs[0])
        if isinstance(before, BatchNorm) and alone:
            del operators[before.output]
            shift = before.shift * op.scale + op.shift
            op = replace(op, inputs=before.inputs, scale=before.scale * op.scale, shift=shift)
        operators[op.output] = op
    tensors = dict(graph.tensors)
    written: list[Operator] = []
    for op in operators.values():
        written += _own(op, tensors) if isinstance(op, BatchNorm) else [op]
    outputs = tuple(renamed.get(name, name) for name in graph.outputs)
    return replace(graph, operators=tuple(written), tensors=tensors, outputs=outputs)


def _read_once(tensor: str, graph: Graph, renamed: dict[str, str]) -> bool:
    """Is there one reader of the tensor, and of those that it now stands for; and is none of them given out?"""
    alone = len(graph.consumers(tensor)) == 1 and tensor not in graph.outputs
    return alone and (tensor not in renamed or _read_once(renamed[tensor], graph, renamed))


def _aligned(values: Array, shape: tuple[int, ...]) -> Array:
    """With as many axes as `shape`."""
    if values.ndim == 1:
        return values.reshape(-1, *[1] * (len(shape) - 1))
    return values[:, None] if values.ndim < len(shape) else values  # frames (C, L) have become images (C, 1, L)


def _folded(op: BatchNorm, graph: Graph, made_by: dict[str, Operator]) -> Weighted | None:
    """The layer before with the scale in its weights and the shift in its bias."""
    before = made_by.get(op.inputs[0])
    if isinstance(before, Reshape) and _read_once(before.inputs[0], graph, {}):  # of frames or rows, not of channels
        before = made_by.get(before.inputs[0])
    if not isinstance(before, Weighted) or before.activation != "none" or _shared(before, graph):
        return None
    axis = before.channel_axis
    shape = graph.tensors[op.output].shape
    if shape[axis] != len(before.bias) or not all(_along(values, axis) for values in (op.scale, op.shift)):
        return None
    scale, shift = (np.broadcast_to(values.ravel(), before.bias.shape) for values in (op.scale, op.shift))
    weight = before.weight * scale.reshape(-1, *[1] * (before.weight.ndim - 1))
    bias = before.bias * scale + shift
    return replace(before, weight=weight.astype(np.float32), bias=bias.astype(np.float32))


def _shared(op: Weighted, graph: Graph) -> bool:
    """Does another operator use the same parameters?"""
    return bool(op.shares) or any(other.shares == op.name for other in graph.weighted())


def _along(values: Array, axis: int) -> bool:
    """Do the values differ along no other axis?"""
    return bool(values.size == values.shape[axis])


def _own(op: BatchNorm, tensors: dict[str, Tensor]) -> list[Operator]:
    """A 1 x 1 depthwise convolution on images; else, and for one number, a product and a sum."""
    shape = tensors[op.output].shape
    scales, shifts = bool((op.scale != 1).any()), bool((op.shift != 0).any())
    one_number = op.scale.size == op.shift.size == 1 and not (scales and shifts)
    if len(shape) == 3 and not one_number and _along(op.scale, 0) and _along(op.shift, 0):
        scale, shift = (np.broadcast_to(v.ravel(), shape[:1]).astype(np.float32) for v in (op.scale, op.shift))
        return [
            Conv2d(op.name, op.inputs, op.output, scale.reshape(-1, 1, 1, 1), shift, groups=shape[0], source=op.source)
        ]
    made: list[Operator] = []
    source = op.inputs[0]
    if scales:
        output = f"{op.output}/scaled" if shifts else op.output
        tensors[output] = replace(tensors[op.output], name=output)
        made += _with_constant(Mul, op, source, op.scale, output, tensors)
        source = output
    if shifts:
        made += _with_constant(Add, op, source, op.shift, op.output, tensors)
    return made


def _with_constant(
    kind: type[Mul] | type[Add], op: BatchNorm, source: str, values: Array, output: str, tensors: dict[str, Tensor]
) -> list[Operator]:
    name = f"{op.name}/{'factor' if kind is Mul else 'offset'}"
    tensors[name] = Tensor(name, values.shape)
    constant = Constant(name, (), name, values.astype(np.float32), source=op.source)
    own_name = op.name if output == op.output else output
    return [constant, kind(own_name, (source, name), output, source=op.source)]
