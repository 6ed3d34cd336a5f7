"""Operators that work value by value."""

from torch import fx

from edgekd.graph.ops import Add, Relu
from edgekd.graph.reader import Lowering, Reader, Unsupported, arguments, kind_of


def _lower_add(reader: Reader, node: fx.Node) -> None:
    x, y, alpha = arguments(node, "self", "other", "alpha")
    a, b = reader.name(x), reader.name(y)
    if alpha not in (None, 1):
        raise Unsupported("its second operand is scaled (alpha)")
    if reader.tensors[a].shape != reader.tensors[b].shape:
        raise Unsupported("its operands differ in shape")
    reader.emit(node, Add, (a, b))


def _lower_relu(reader: Reader, node: fx.Node) -> None:
    reader.emit(node, Relu, (reader.name(node.args[0]),), activation="relu")


def _lower_relu6(reader: Reader, node: fx.Node) -> None:
    if kind_of(node) in ("hardtanh", "clamp"):
        low, high = arguments(node, *(("min_val", "max_val") if kind_of(node) == "hardtanh" else ("min", "max")))
        if (low, high) != (0, 6):
            raise Unsupported(f"it clamps to [{low}, {high}]; [0, 6] is supported")
    reader.emit(node, Relu, (reader.name(node.args[0]),), activation="relu6")


LOWERINGS: dict[str, Lowering] = {
    "add": _lower_add,
    "relu": _lower_relu,
    "relu6": _lower_relu6,
    "hardtanh": _lower_relu6,
    "clamp": _lower_relu6,
}
