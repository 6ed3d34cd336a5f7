"""The layer norm and the group norm that edgekd itself writes: islands of many operators, read back as one."""

from dataclasses import dataclass, replace

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.formats.tflite.reading.content import StoredOperator
from edgekd.formats.tflite.reading.network import Axes, Code, Network
from edgekd.graph.operators.normalisation import epsilon_in_codes
from edgekd.graph.ops import GroupNorm, LayerNorm
from edgekd.graph.structure import Array, Quantization

Step = tuple[int, tuple[int, ...]]
"""An operator's code, and the places in the island of those whose outputs it reads first."""

Members = tuple[StoredOperator, ...]


@dataclass(frozen=True)
class Numbers:
    """The constants of a normalisation; `epsilon` is that of codes."""

    epsilon: np.float32
    weight: Array
    bias: Array


@dataclass(frozen=True)
class Island:
    """The operators that edgekd writes a normalisation as, from the CAST of codes on, in their order.

    Attributes:
        epsilon: the place of the ADD of epsilon; MUL and ADD with weight and bias are found from the end.
        after: how many operators follow the ADD of the bias.
    """

    steps: tuple[Step, ...]
    epsilon: int
    after: int


def _island(sums: tuple[Step, ...], mean: int, square: int, last: tuple[int, ...]) -> Island:
    """From the places of the means of the codes and of their squares on, all normalisations go on alike."""
    n = len(sums)
    standardise = (
        (Code.MUL, (mean, mean)), (Code.SUB, (square, n)), (Code.SUB, (0, mean)), (Code.ADD, (n + 1,)),
        (Code.RESHAPE, (n + 3,)), (Code.SQRT, (n + 4,)), (Code.RESHAPE, (n + 5,)), (Code.DIV, (n + 2, n + 6)),
        (Code.MUL, (n + 7,)), (Code.ADD, (n + 8,)),
    )  # fmt: skip
    ends = tuple((code, (n + 9 + place,)) for place, code in enumerate(last))
    return Island((*sums, *standardise, *ends), n + 3, len(last))


LAYER = _island(
    ((Code.CAST, ()), (Code.MEAN, (0,)), (Code.MUL, (0, 0)), (Code.MEAN, (2,))), 1, 3, (Code.QUANTIZE,)
)  # fmt: skip
GROUP = _island(
    ((Code.CAST, ()), (Code.SUM, (0,)), (Code.MUL, (0, 0)), (Code.SUM, (2,)), (Code.DIV, (1,)), (Code.DIV, (3,))),
    4, 5, (Code.QUANTIZE, Code.RESHAPE),
)  # fmt: skip
LARGE_GROUP = _island(
    (
        (Code.CAST, ()), (Code.SUM, (0,)), (Code.MUL, (0, 0)), (Code.RESHAPE, (2,)), (Code.SUM, (3,)),
        (Code.DIV, (4,)), (Code.FLOOR, (5,)), (Code.MUL, (6,)), (Code.SUB, (4, 7)), (Code.SUM, (6,)),
        (Code.SUM, (8,)), (Code.MUL, (9,)), (Code.ADD, (11, 10)), (Code.RESHAPE, (12,)), (Code.DIV, (1,)),
        (Code.DIV, (13,)),
    ),
    14, 15, (Code.QUANTIZE, Code.RESHAPE),
)  # fmt: skip
"""Of a group whose squares are summed in parts."""


def read_normalisation(net: Network, op: StoredOperator) -> bool:
    """Read the island that begins with this CAST, if it is a normalisation; its other operators are then skipped."""
    for island in (LAYER, GROUP, LARGE_GROUP):
        members = net.content.operators[op.index : op.index + len(island.steps)]
        if _matches(island, members):
            numbers = _constants(net, island, members)
            read = _read_layer_norm if island is LAYER else _read_group_norm
            return numbers is not None and read(net, op, members, numbers)
    return False


def _matches(island: Island, members: Members) -> bool:
    if tuple(member.code for member in members) != tuple(code for code, _ in island.steps):
        return False
    outputs = [member.outputs[0] for member in members]
    return all(
        member.inputs[: len(sources)] == tuple(outputs[place] for place in sources)
        for member, (_, sources) in zip(members, island.steps, strict=True)
    )


def _constants(net: Network, island: Island, members: Members) -> Numbers | None:
    """None where they are no numbers of a normalisation."""
    bias = len(members) - 1 - island.after
    places = island.epsilon, bias - 1, bias
    epsilon, weight, shift = (net.constant(members[place], 1, "a constant").ravel() for place in places)
    if epsilon.size != 1 or any(values.dtype != np.float32 for values in (epsilon, weight, shift)):
        return None
    return Numbers(epsilon[0], weight.copy(), shift.copy())


def _real_epsilon(op: StoredOperator, epsilon: np.float32, codes: Quantization) -> float:
    """Of real values, where the file has that of codes."""
    real = float(epsilon) * float(np.float32(codes.scale)) ** 2
    probe = LayerNorm("", (), "", np.zeros(1), np.zeros(1), real)
    if epsilon_in_codes(probe, codes) != epsilon:
        raise op.refused("normalises with an epsilon that no real value stands for", "another epsilon")
    return real


def _read_layer_norm(net: Network, op: StoredOperator, members: Members, numbers: Numbers) -> bool:
    source, last = net.input(op, 0), members[-1]
    if not numbers.weight.size == numbers.bias.size == net.shapes[source][-1]:
        return False
    epsilon = _real_epsilon(op, numbers.epsilon, net.codes(op, source))
    norm = LayerNorm("", (net.plain(source),), "", numbers.weight, numbers.bias, epsilon)
    _emit(net, members, norm, net.shapes[source], net.plain_axes(source))
    net.codes(last, last.outputs[0])
    return True


def _read_group_norm(net: Network, op: StoredOperator, members: Members, numbers: Numbers) -> bool:
    """Before the CAST a RESHAPE split the channels into groups, after all a RESHAPE joins them again."""
    if not op.index:
        return False
    split = net.content.operators[op.index - 1]
    if split.code != Code.RESHAPE or split.outputs[0] != op.inputs[0]:
        return False
    source, whole = split.inputs[0], net.shapes[op.inputs[0]]
    shape = net.shapes[source]
    if len(whole) != 4 or len(shape) < 2 or len(numbers.weight) != shape[-1] or whole[2] * whole[3] != shape[-1]:
        return False
    if numbers.bias.size != shape[-1]:
        return False
    axes: Axes = (len(shape) - 1, *range(1, len(shape) - 1))
    activation = members[-3].options(schema.AddOptionsT).fusedActivationFunction
    norm = GroupNorm(
        "", (net.read(source, axes),), "", numbers.weight, numbers.bias,
        _real_epsilon(op, numbers.epsilon, net.codes(op, source)),
        groups=whole[2], activation=net.activation(members[-3], activation),
    )  # fmt: skip
    _emit(net, members, norm, shape, axes)
    return True


def _emit(
    net: Network,
    members: Members,
    norm: LayerNorm | GroupNorm,
    shape: tuple[int, ...],
    axes: Axes,
) -> None:
    net.output_shape(members[-1], shape)
    net.emit(members[-1], lambda n, out: replace(norm, name=n, output=out), axes)
    net.skipped |= {member.index for member in members}
