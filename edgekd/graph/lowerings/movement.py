"""Operators that move values, and those that leave them as they are."""

from torch import fx

from edgekd.graph.ops import Pad, Reshape, Slice
from edgekd.graph.reader import BATCH, Lowering, Reader, Unsupported, arguments


def _lower_reshape(reader: Reader, node: fx.Node) -> None:
    reader.emit(node, Reshape, (reader.name(node.args[0]),))


def _lower_slice(reader: Reader, node: fx.Node) -> None:
    x, axis, begin, end, step = arguments(node, "self", "dim", "start", "end", "step")
    shape = reader.shape(x)
    axis = axis % (len(shape) + 1) - 1
    size = (BATCH, *shape)[axis + 1]
    begin, end, step = slice(begin, end, step).indices(size)
    if (begin, end, step) == (0, size, 1):
        reader.same(node, x)
        return
    if axis < 0:
        raise Unsupported("it slices the batch")
    ranges = [(0, n, 1) for n in shape]
    ranges[axis] = (begin, end, step)
    reader.emit(node, Slice, (reader.name(x),), ranges=tuple(ranges))


def _lower_pad(reader: Reader, node: fx.Node) -> None:
    names = [a.name for a in node.target._schema.arguments]  # type: ignore[union-attr]
    x, amounts, value = arguments(node, "self", "pad", "value")
    mode = arguments(node, "mode")[0] if "mode" in names else "constant"
    rank = len(reader.shape(x))
    if mode != "constant" or value not in (None, 0) or min(amounts) < 0 or len(amounts) > 2 * rank:
        raise Unsupported("only padding with zeros is supported")
    pairs = [(amounts[i], amounts[i + 1]) for i in range(0, len(amounts), 2)]
    pairs += [(0, 0)] * (rank - len(pairs))
    reader.emit(node, Pad, (reader.name(x),), amounts=tuple(reversed(pairs)))


def _lower_identity(reader: Reader, node: fx.Node) -> None:
    reader.same(node, node.args[0])


LOWERINGS: dict[str, Lowering] = {
    "flatten": _lower_reshape,
    "view": _lower_reshape,
    "reshape": _lower_reshape,
    "squeeze": _lower_reshape,
    "unsqueeze": _lower_reshape,
    "slice": _lower_slice,
    "pad": _lower_pad,
    "constant_pad_nd": _lower_pad,
}

IDENTITIES: dict[str, Lowering] = dict.fromkeys(
    ("dropout", "feature_dropout", "contiguous", "clone", "alias", "detach", "to"), _lower_identity
)
