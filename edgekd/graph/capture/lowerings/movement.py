"""Lowerings of operators that move values, and of those that change nothing."""

from typing import Any

import numpy as np
import torch
from torch import fx

from edgekd.graph.capture.reader import BATCH, Lowering, Reader, Unsupported, arguments, kind_of
from edgekd.graph.ops import Concat, Pad, Reshape, Slice, Take, Transpose

Positions = tuple[int, ...]

BY_SHAPE = ("expand_as",)
"""Operators that read another tensor for its shape alone."""


def _lower_reshape(reader: Reader, node: fx.Node) -> None:
    reader.emit(node, Reshape, (reader.name(node.args[0]),))


def order_of(node: fx.Node) -> list[int]:
    """The permutation of a node's axes, batch included, which is read off a tensor whose axes differ in length."""
    rank = node.meta["val"].dim()
    probe = torch.empty(tuple(range(2, rank + 2)))
    return [size - 2 for size in node.target(probe, *node.args[1:], **node.kwargs).shape]  # type: ignore[operator]


def _lower_transpose(reader: Reader, node: fx.Node) -> None:
    order = order_of(node)
    if order[0] != 0:
        raise Unsupported("it moves the batch from its place")
    if order == sorted(order):
        reader.same(node, node.args[0])
        return
    reader.emit(node, Transpose, (reader.name(node.args[0]),), order=tuple(axis - 1 for axis in order[1:]))


def _axis(reader: Reader, tensor: str, dim: int, more: int = 0) -> int:
    """The axis without the batch for torch's `dim`; `more` is 1 where the node adds an axis."""
    axis = dim % (len(reader.tensors[tensor].shape) + 1 + more) - 1
    if axis < 0:
        raise Unsupported("it works along the batch")
    return axis


def _operands(reader: Reader, node: fx.Node) -> list[str]:
    """The tensors of a list argument; parameters become constants, which are the same for every sample."""
    names = []
    for argument in node.args[0]:  # type: ignore[union-attr]
        if reader.is_tensor(argument):
            names.append(reader.name(argument))
            continue
        values = reader.value(argument)
        assert values is not None
        if len(values) not in (1, BATCH) or (values != values[:1]).any():
            raise Unsupported("one of its operands has no batch axis")
        names.append(reader.constant(node, values[0]))
    return names


def _lower_concat(reader: Reader, node: fx.Node) -> None:
    names = _operands(reader, node)
    axis = _axis(reader, names[0], arguments(node, "dim")[0])
    if len(names) == 1:
        reader.names[node] = names[0]
    else:
        reader.emit(node, Concat, tuple(names), axis=axis)


def _lower_stack(reader: Reader, node: fx.Node) -> None:
    names = _operands(reader, node)
    axis = _axis(reader, names[0], arguments(node, "dim")[0], more=1)
    shape = reader.tensors[names[0]].shape
    parts = [reader.emit(node, Reshape, (name,), shape=(*shape[:axis], 1, *shape[axis:])) for name in names]
    reader.emit(node, Concat, tuple(parts), axis=axis)


def _part(reader: Reader, node: fx.Node, tensor: str, axis: int, begin: int, end: int, step: int = 1) -> str:
    """Emit a slice of one axis; the tensor itself where that is the whole axis."""
    shape = reader.tensors[tensor].shape
    if (begin, end, step) == (0, shape[axis], 1):
        return tensor
    ranges = [(0, n, 1) for n in shape]
    ranges[axis] = (begin, end, step)
    shape = (*shape[:axis], len(range(begin, end, step)), *shape[axis + 1 :])
    return reader.emit(node, Slice, (tensor,), shape=shape, ranges=tuple(ranges))


def _lower_slice(reader: Reader, node: fx.Node) -> None:
    x, dim, begin, end, step = arguments(node, "self", "dim", "start", "end", "step")
    shape = (BATCH, *reader.shape(x))
    begin, end, step = slice(begin, end, step).indices(shape[dim])
    if (begin, end, step) == (0, shape[dim], 1):
        reader.same(node, x)
        return
    reader.names[node] = _part(reader, node, reader.name(x), _axis(reader, reader.name(x), dim), begin, end, step)


def _lower_narrow(reader: Reader, node: fx.Node) -> None:
    x, dim, begin, length = arguments(node, "self", "dim", "start", "length")
    tensor, axis = reader.name(x), _axis(reader, reader.name(x), dim)
    begin %= reader.tensors[tensor].shape[axis]
    reader.names[node] = _part(reader, node, tensor, axis, begin, begin + length)


def _one_position(reader: Reader, node: fx.Node, tensor: str, axis: int, at: int) -> str:
    """Emit the selection of one position of an axis, which is dropped from the shape."""
    shape = reader.tensors[tensor].shape
    at %= shape[axis]
    part = _part(reader, node, tensor, axis, at, at + 1)
    return reader.emit(node, Reshape, (part,), shape=(*shape[:axis], *shape[axis + 1 :]))


def _lower_select(reader: Reader, node: fx.Node) -> None:
    x, dim, at = arguments(node, "self", "dim", "index")
    tensor = reader.name(x)
    reader.names[node] = _one_position(reader, node, tensor, _axis(reader, tensor, dim), at)


def _lower_unbind(reader: Reader, node: fx.Node) -> None:
    x, dim = arguments(node, "self", "dim")
    tensor, axis = reader.name(x), _axis(reader, reader.name(x), dim)
    count = reader.tensors[tensor].shape[axis]
    reader.several(node, [_one_position(reader, node, tensor, axis, at) for at in range(count)])


def _lower_split(reader: Reader, node: fx.Node) -> None:
    """Lower a split into the parts whose lengths torch has computed."""
    x, dim = arguments(node, "self", "dim")
    tensor, axis = reader.name(x), _axis(reader, reader.name(x), dim)
    ends = np.cumsum([0, *(part.shape[axis + 1] for part in node.meta["val"])])
    parts = zip(ends[:-1].tolist(), ends[1:].tolist(), strict=True)
    reader.several(node, [_part(reader, node, tensor, axis, begin, end) for begin, end in parts])


def _lower_pad(reader: Reader, node: fx.Node) -> None:
    names = [a.name for a in node.target._schema.arguments]  # type: ignore[union-attr]
    x, amounts, value = arguments(node, "self", "pad", "value")
    if "mode" in names and arguments(node, "mode")[0] != "constant":
        lower_take(reader, node)
        return
    rank = len(reader.shape(x))
    if len(amounts) > 2 * rank:
        raise Unsupported("it works along the batch")
    if not np.isfinite(value or 0.0):
        raise Unsupported(f"it pads with {value}, which no scale covers")
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)]
    pairs = [*reversed(pairs + [(0, 0)] * (rank - len(pairs)))]
    tensor = reader.name(x)
    for axis, (before, after) in enumerate(pairs):  # a negative amount cuts off
        tensor = _part(reader, node, tensor, axis, max(-before, 0), reader.tensors[tensor].shape[axis] + min(after, 0))
    around = tuple((max(before, 0), max(after, 0)) for before, after in pairs)
    reader.names[node] = tensor
    if any(map(any, around)):
        reader.emit(node, Pad, (tensor,), amounts=around, value=float(value or 0.0))


def _lower_pixel_shuffle(reader: Reader, node: fx.Node) -> None:
    x, r = arguments(node, "self", "upscale_factor")
    channels, height, width = reader.shape(x)
    split = (channels // r**2, r, r, height, width)
    _emit_regrouping(reader, node, split, (0, 3, 1, 4, 2))


def _lower_pixel_unshuffle(reader: Reader, node: fx.Node) -> None:
    x, r = arguments(node, "self", "downscale_factor")
    channels, height, width = reader.shape(x)
    _emit_regrouping(reader, node, (channels, height // r, r, width // r, r), (0, 2, 4, 1, 3))


def _lower_channel_shuffle(reader: Reader, node: fx.Node) -> None:
    x, groups = arguments(node, "self", "groups")
    channels, *size = reader.shape(x)
    _emit_regrouping(reader, node, (groups, channels // groups, *size), (1, 0, *range(2, 2 + len(size))))


def _emit_regrouping(reader: Reader, node: fx.Node, split: tuple[int, ...], order: tuple[int, ...]) -> None:
    parts = reader.emit(node, Reshape, (reader.name(node.args[0]),), shape=split)
    transpose = reader.emit(node, Transpose, (parts,), shape=tuple(split[axis] for axis in order), order=order)
    reader.emit(node, Reshape, (transpose,))


def lower_take(reader: Reader, node: fx.Node) -> None:
    """Lower any operator that gathers positions of each axis by itself, by running it on the positions."""
    source = node.args[0]
    if not isinstance(source, fx.Node) or not reader.is_tensor(source):
        raise Unsupported("it takes values out of a stored tensor")
    shape = (BATCH, *reader.shape(source))
    all_positions = [_positions_along(reader, node, source, shape, axis) for axis in range(len(shape))]
    if all_positions[0] != tuple(range(BATCH)):
        raise Unsupported("it mixes the samples of a batch")
    positions = tuple(None if p == tuple(range(n)) else p for p, n in zip(all_positions[1:], shape[1:], strict=True))
    if not any(positions):
        reader.same(node, source)
    else:
        reader.emit(node, Take, (reader.name(source),), positions=positions)


def _positions_along(reader: Reader, node: fx.Node, source: fx.Node, shape: tuple[int, ...], axis: int) -> Positions:
    along = [n if i == axis else 1 for i, n in enumerate(shape)]
    probe = torch.arange(shape[axis], dtype=torch.float64).reshape(along).expand(shape).contiguous()

    def operand(argument: fx.Node) -> Any:
        if argument is source:
            return probe
        if not reader.is_tensor(argument):
            return reader.evaluate(argument)
        if kind_of(node) not in BY_SHAPE:
            raise Unsupported("it chooses by computed values")
        return torch.empty(argument.meta["val"].shape)

    args, kwargs = fx.map_arg((node.args, node.kwargs), operand)
    result = node.target(*args, **kwargs)  # type: ignore[operator]
    by_itself = result.dim() == len(shape)
    first = result.movedim(axis, -1).reshape(-1, result.shape[axis])[0] if by_itself else result.flatten()
    along = [len(first) if i == axis else 1 for i in range(result.dim())]
    if not by_itself or not torch.equal(result, first.reshape(along).expand(result.shape)):
        raise Unsupported("it does not take each axis by itself")
    return tuple(int(position) for position in first)


def _lower_identity(reader: Reader, node: fx.Node) -> None:
    reader.same(node, node.args[0])


RESHAPES = ("flatten", "unflatten", "view", "reshape", "_unsafe_view", "view_as", "reshape_as", "squeeze", "unsqueeze")
TRANSPOSES = ("permute", "transpose", "t", "movedim", "moveaxis", "swapaxes", "swapdims", "adjoint", "numpy_T", "mT")
TAKES = (
    *("flip", "fliplr", "flipud", "roll", "index_select", "index"),
    *("repeat", "tile", "repeat_interleave", "expand", "expand_as"),
    *("reflection_pad1d", "reflection_pad2d", "replication_pad1d", "replication_pad2d"),
)

LOWERINGS: dict[str, Lowering] = {
    **dict.fromkeys(RESHAPES, _lower_reshape),
    **dict.fromkeys(TRANSPOSES, _lower_transpose),
    **dict.fromkeys(TAKES, lower_take),
    **dict.fromkeys(("cat", "concat", "concatenate"), _lower_concat),
    "stack": _lower_stack,
    "slice": _lower_slice,
    "narrow": _lower_narrow,
    "select": _lower_select,
    "unbind": _lower_unbind,
    **dict.fromkeys(("split", "split_with_sizes", "chunk", "tensor_split"), _lower_split),
    **dict.fromkeys(("pad", "constant_pad_nd"), _lower_pad),
    "pixel_shuffle": _lower_pixel_shuffle,
    "pixel_unshuffle": _lower_pixel_unshuffle,
    "channel_shuffle": _lower_channel_shuffle,
}

IDENTITIES: dict[str, Lowering] = dict.fromkeys(
    ("dropout", "feature_dropout", "contiguous", "clone", "alias", "detach", "to"), _lower_identity
)
