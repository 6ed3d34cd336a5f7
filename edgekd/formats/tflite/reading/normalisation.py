"""The layer norm that edgekd itself writes: an island of fifteen operators, read back as one."""

import numpy as np

from edgekd.formats.tflite.reading.content import StoredOperator
from edgekd.formats.tflite.reading.network import Code, Network
from edgekd.graph.operators.normalisation import epsilon_in_codes
from edgekd.graph.ops import LayerNorm

SEQUENCE = (
    Code.CAST, Code.MEAN, Code.MUL, Code.MEAN, Code.MUL, Code.SUB, Code.SUB, Code.ADD, Code.RESHAPE, Code.SQRT,
    Code.RESHAPE, Code.DIV, Code.MUL, Code.ADD, Code.QUANTIZE,
)  # fmt: skip
EPSILON, WEIGHT, BIAS, LAST = 7, 12, 13, 14
"""Places in the sequence of the operators with a constant, and of the one that makes the codes."""
CHAIN = {1: (0,), 2: (0, 0), 3: (2,), 4: (1, 1), 5: (3, 4), 6: (0, 1), 7: (5,), 8: (7,), 9: (8,), 10: (9,), 11: (6, 10),
         12: (11,), 13: (12,), 14: (13,)}  # fmt: skip
"""Place -> those whose outputs it reads first."""


def read_layer_norm(net: Network, op: StoredOperator) -> bool:
    """Read the island that begins with this CAST, if it is a layer norm; its other operators are then skipped."""
    island = net.content.operators[op.index : op.index + len(SEQUENCE)]
    if tuple(each.code for each in island) != SEQUENCE:
        return False
    for place, sources in CHAIN.items():
        if tuple(island[place].inputs[: len(sources)]) != tuple(island[k].outputs[0] for k in sources):
            return False
    last = island[LAST]
    source, width = net.input(op, 0), net.shapes[net.input(op, 0)][-1]
    epsilon, weight, bias = (net.constant(island[place], 1, "a constant").ravel() for place in (EPSILON, WEIGHT, BIAS))
    if epsilon.size != 1 or weight.shape != (width,) or bias.shape != (width,):
        return False
    codes = net.codes(op, source)
    net.codes(last, last.outputs[0])
    net.output_shape(last, net.shapes[source])
    axes, name = net.plain_axes(source), net.plain(source)
    real = float(epsilon[0]) * float(np.float32(codes.scale)) ** 2
    net.emit(last, lambda n, out: LayerNorm(n, (name,), out, weight.copy(), bias.copy(), real), axes)
    made = net.maker(last.outputs[0])
    if not isinstance(made, LayerNorm) or epsilon_in_codes(made, codes) != epsilon[0]:
        raise op.refused("normalises with an epsilon that no real value stands for", "another epsilon")
    net.skipped |= {each.index for each in island}
    return True
