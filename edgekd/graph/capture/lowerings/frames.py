"""Treats frames, (C, L), as images of height 1, (C, 1, L), for lowerings to two-axis operators."""

from typing import Any

from torch import fx

from edgekd.graph.capture.reader import Reader
from edgekd.graph.ops import Reshape
from edgekd.graph.structure import Operator


def pair_of(value: Any, along_height: int, one_axis: bool) -> tuple[int, int]:
    """The (vertical, horizontal) values of an argument that may be one number, or hold one axis."""
    values = list(value) if isinstance(value, (list, tuple)) else [value]
    return (along_height if one_axis else int(values[0]), int(values[-1]))


def as_image(reader: Reader, node: fx.Node, x: Any) -> str:
    """Emit a reshape of (C, L) to (C, 1, L)."""
    channels, length = reader.shape(x)
    shape = (channels, 1, length)
    return reader.emit(node, Reshape, (reader.name(x),), shape=shape, name=f"{reader.path(node)}/image")


def emit_on_image(
    reader: Reader, node: fx.Node, kind: type[Operator], image: str, one_axis: bool, **fields: Any
) -> None:
    """Emit an operator on images; where the node works on frames, its result is reshaped to frames."""
    if not one_axis:
        reader.emit(node, kind, (image,), **fields)
        return
    channels, length = (int(n) for n in node.meta["val"].shape[1:])
    result = reader.emit(node, kind, (image,), shape=(channels, 1, length), **fields)
    reader.emit(node, Reshape, (result,), name=f"{reader.path(node)}/frames")
