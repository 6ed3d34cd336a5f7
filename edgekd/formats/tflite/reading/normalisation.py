"""Gives the reader of CAST the layer norm or group norm that edgekd wrote as a sequence of many operators."""

from dataclasses import dataclass, replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator
from edgekd.formats.tflite.reading.file_tensors import Axes, Code
from edgekd.formats.tflite.reading.network import Network
from edgekd.graph.operators.normalisation import epsilon_in_codes
from edgekd.graph.ops import GroupNorm, LayerNorm
from edgekd.graph.structure import Array, Quantization

Step = tuple[int, tuple[int, ...]]
"""An operator's code, and the places in the sequence of the operators whose outputs are its first inputs."""

Operators = tuple[StoredOperator, ...]


@dataclass(frozen=True)
class Constants:
    """The constants of a normalisation.

    Attributes:
        epsilon: the epsilon of the variance of codes.
        weight: the weights, of shape (channels,).
        bias: the biases, of shape (channels,).
    """

    epsilon: np.float32
    weight: Array
    bias: Array


@dataclass(frozen=True)
class Pattern:
    """The sequence of operators that edgekd writes a normalisation as, from the CAST of codes on.

    Attributes:
        steps: the operators in their order.
        epsilon: the place of the ADD of epsilon.
        after: the number of operators after the ADD of the bias, which the MUL by the weight precedes.
    """

    steps: tuple[Step, ...]
    epsilon: int
    after: int


def _pattern(sums: tuple[Step, ...], mean: int, square: int, last: tuple[int, ...]) -> Pattern:
    """Return the sequence that begins with `sums` and continues as in every normalisation.

    Args:
        sums: the operators that compute the means.
        mean: the place of the mean of the codes.
        square: the place of the mean of the squares of the codes.
        last: the codes of the operators after the ADD of the bias.
    """
    n = len(sums)
    standardise = (
        (Code.MUL, (mean, mean)), (Code.SUB, (square, n)), (Code.SUB, (0, mean)), (Code.ADD, (n + 1,)),
        (Code.RESHAPE, (n + 3,)), (Code.SQRT, (n + 4,)), (Code.RESHAPE, (n + 5,)), (Code.DIV, (n + 2, n + 6)),
        (Code.MUL, (n + 7,)), (Code.ADD, (n + 8,)),
    )  # fmt: skip
    last_steps = tuple((code, (n + 9 + place,)) for place, code in enumerate(last))
    return Pattern((*sums, *standardise, *last_steps), n + 3, len(last))


LAYER = _pattern(
    ((Code.CAST, ()), (Code.MEAN, (0,)), (Code.MUL, (0, 0)), (Code.MEAN, (2,))), 1, 3, (Code.QUANTIZE,)
)  # fmt: skip
GROUP = _pattern(
    ((Code.CAST, ()), (Code.SUM, (0,)), (Code.MUL, (0, 0)), (Code.SUM, (2,)), (Code.DIV, (1,)), (Code.DIV, (3,))),
    4, 5, (Code.QUANTIZE, Code.RESHAPE),
)  # fmt: skip
LARGE_GROUP = _pattern(
    (
        (Code.CAST, ()), (Code.SUM, (0,)), (Code.MUL, (0, 0)), (Code.RESHAPE, (2,)), (Code.SUM, (3,)),
        (Code.DIV, (4,)), (Code.FLOOR, (5,)), (Code.MUL, (6,)), (Code.SUB, (4, 7)), (Code.SUM, (6,)),
        (Code.SUM, (8,)), (Code.MUL, (9,)), (Code.ADD, (11, 10)), (Code.RESHAPE, (12,)), (Code.DIV, (1,)),
        (Code.DIV, (13,)),
    ),
    14, 15, (Code.QUANTIZE, Code.RESHAPE),
)  # fmt: skip
"""The sequence for a group whose squares are summed in parts."""


def read_normalisation(net: Network, op: StoredOperator) -> bool:
    """Read the normalisation that begins with this CAST and skip its other operators; return False if there is none."""
    for pattern in (LAYER, GROUP, LARGE_GROUP):
        operators = net.content.operators[op.index : op.index + len(pattern.steps)]
        if _matches(pattern, operators):
            constants = _constants(net, pattern, operators)
            read = _read_layer_norm if pattern is LAYER else _read_group_norm
            return constants is not None and read(net, op, operators, constants)
    return False


def _matches(pattern: Pattern, operators: Operators) -> bool:
    if tuple(operator.code for operator in operators) != tuple(code for code, _ in pattern.steps):
        return False
    outputs = [operator.outputs[0] for operator in operators]
    return all(
        operator.inputs[: len(sources)] == tuple(outputs[place] for place in sources)
        for operator, (_, sources) in zip(operators, pattern.steps, strict=True)
    )


def _constants(net: Network, pattern: Pattern, operators: Operators) -> Constants | None:
    """Return the constants of a normalisation, or None if the operators have constants of other types or sizes."""
    bias = len(operators) - 1 - pattern.after
    places = pattern.epsilon, bias - 1, bias
    epsilon, weight, shift = (net.constant(operators[place], 1, "a constant").ravel() for place in places)
    if epsilon.size != 1 or any(values.dtype != np.float32 for values in (epsilon, weight, shift)):
        return None
    return Constants(epsilon[0], weight.copy(), shift.copy())


def _real_epsilon(op: StoredOperator, epsilon: np.float32, codes: Quantization) -> float:
    """Return the epsilon for real values that corresponds to the file's epsilon for codes."""
    real = float(epsilon) * float(np.float32(codes.scale)) ** 2
    probe = LayerNorm("", (), "", np.zeros(1), np.zeros(1), real)
    if epsilon_in_codes(probe, codes) != epsilon:
        raise op.refusal("normalises with an epsilon that no real value stands for", "another epsilon")
    return real


def _read_layer_norm(net: Network, op: StoredOperator, operators: Operators, constants: Constants) -> bool:
    source, last = net.input(op, 0), operators[-1]
    if not constants.weight.size == constants.bias.size == net.shapes[source][-1]:
        return False
    epsilon = _real_epsilon(op, constants.epsilon, net.codes(op, source))
    norm = LayerNorm("", (net.read_file_order(source),), "", constants.weight, constants.bias, epsilon)
    _emit(net, operators, norm, net.shapes[source], net.file_axes(source))
    net.codes(last, last.outputs[0])
    return True


def _read_group_norm(net: Network, op: StoredOperator, operators: Operators, constants: Constants) -> bool:
    """Read a group norm: a RESHAPE before the CAST splits the channels into groups, and the last RESHAPE joins them."""
    if not op.index:
        return False
    split = net.content.operators[op.index - 1]
    if split.code != Code.RESHAPE or split.outputs[0] != op.inputs[0]:
        return False
    source, grouped_shape = split.inputs[0], net.shapes[op.inputs[0]]
    shape = net.shapes[source]
    if (
        len(grouped_shape) != 4
        or len(shape) < 2
        or len(constants.weight) != shape[-1]
        or grouped_shape[2] * grouped_shape[3] != shape[-1]
    ):
        return False
    if constants.bias.size != shape[-1]:
        return False
    axes: Axes = (len(shape) - 1, *range(1, len(shape) - 1))
    activation = operators[-3].options(schema.AddOptionsT).fusedActivationFunction
    norm = GroupNorm(
        "", (net.read(source, axes),), "", constants.weight, constants.bias,
        _real_epsilon(op, constants.epsilon, net.codes(op, source)),
        groups=grouped_shape[2], activation=net.activation(operators[-3], activation),
    )  # fmt: skip
    _emit(net, operators, norm, shape, axes)
    return True


def _emit(
    net: Network,
    operators: Operators,
    norm: LayerNorm | GroupNorm,
    shape: tuple[int, ...],
    axes: Axes,
) -> None:
    net.output_shape(operators[-1], shape)
    net.emit(operators[-1], lambda n, out: replace(norm, name=n, output=out), axes)
    net.operators_to_skip |= {operator.index for operator in operators}
