"""Lowerings of functions of one value; silu becomes a product with its sigmoid."""

from torch import fx

from edgekd.graph.capture.reader import Lowering, Reader, Unsupported, arguments, kind_of
from edgekd.graph.ops import Mul, Relu, Unary

NAMES = {"hardswish": "hard_swish"}
"""The graph's name of a function by torch's, where they differ."""


def function(reader: Reader, node: fx.Node, name: str, alpha: float = 0.0, layer: str | None = None) -> str:
    """Emit a function of the node's first argument."""
    return reader.emit(node, Unary, (reader.name(node.args[0]),), function=name, alpha=alpha, name=layer)


def _lower_function(reader: Reader, node: fx.Node) -> None:
    function(reader, node, NAMES.get(kind_of(node), kind_of(node)))


def _lower_silu(reader: Reader, node: fx.Node) -> None:
    gate = function(reader, node, "sigmoid", layer=f"{reader.path(node)}/gate")
    reader.emit(node, Mul, (reader.name(node.args[0]), gate))


def _lower_gelu(reader: Reader, node: fx.Node) -> None:
    (approximate,) = arguments(node, "approximate")
    function(reader, node, "gelu_tanh" if approximate == "tanh" else "gelu")


def _lower_leaky_relu(reader: Reader, node: fx.Node) -> None:
    (slope,) = arguments(node, "negative_slope")
    if slope == 0:
        reader.emit(node, Relu, (reader.name(node.args[0]),), activation="relu")
        return
    function(reader, node, "leaky_relu", float(slope))


def _lower_elu(reader: Reader, node: fx.Node) -> None:
    alpha, scale, input_scale = arguments(node, "alpha", "scale", "input_scale")
    if (scale, input_scale) != (1, 1):
        raise Unsupported("it is scaled; ELU is supported as it is")
    function(reader, node, "elu", float(alpha))


def _lower_softplus(reader: Reader, node: fx.Node) -> None:
    (beta,) = arguments(node, "beta")
    if beta != 1:
        raise Unsupported("its beta is not 1")
    function(reader, node, "softplus")


LOWERINGS: dict[str, Lowering] = {
    "sigmoid": _lower_function,
    "tanh": _lower_function,
    "hardswish": _lower_function,
    "mish": _lower_function,
    "softplus": _lower_softplus,
    "silu": _lower_silu,
    "gelu": _lower_gelu,
    "leaky_relu": _lower_leaky_relu,
    "elu": _lower_elu,
}
