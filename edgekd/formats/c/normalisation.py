"""Write layer norm and group norm on codes as calls of C kernels with the integer reference's float32 operations."""

from math import prod

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats.c.functions import Constant, Kernel
from edgekd.formats.c.source import CSource, Writer
from edgekd.formats.layout import Layout
from edgekd.graph.operators.arithmetic import f32
from edgekd.graph.operators.normalisation import LARGEST_GROUP, epsilon_in_codes
from edgekd.graph.ops import GroupNorm, LayerNorm, Normalisation
from edgekd.graph.structure import Operator


def _write_layer_norm(source: CSource, op: LayerNorm) -> None:
    view, leading, _ = source.rows(op.inputs[0])
    width = source.shape(op.inputs[0])[-1]
    output = source.declare(op.output, leading.append_axis(width))
    constants = {"ROWS": prod(leading.sizes), "WIDTH": width} | _quantization_constants(source, op)
    source.call(Kernel("layer_norm", constants), [view], output, _parameters(source, op), in_place=True)


def _write_group_norm(source: CSource, op: GroupNorm) -> None:
    shape = source.shape(op.output)
    positions, width = prod(shape[1:]), shape[0] // op.groups
    if positions * width > LARGEST_GROUP:
        raise UnsupportedOperatorError(
            f"layer {op.name} (group_norm, {op.source}): groups of {positions * width} codes have no exact sums",
            "more groups",
        )
    order = (*range(1, len(shape)), 0)
    view = source.read(op.inputs[0], order)
    output = source.declare(op.output, Layout.of(shape, order))
    constants = {"GROUPS": op.groups, "PLACES": positions, "WIDTH": width} | _quantization_constants(source, op)
    constants |= {"POSITIVE": int(op.activation != "none"), "AT_MOST_SIX": int(op.activation == "relu6")}
    source.call(Kernel("group_norm", constants), [view], output, _parameters(source, op), in_place=True)


def _quantization_constants(source: CSource, op: Normalisation) -> dict[str, Constant]:
    before, after = (source.graph.quantization(name) for name in (op.inputs[0], op.output))
    return {"EPSILON": epsilon_in_codes(op, before), "SCALE": f32(after.scale), "ZERO_POINT": after.zero_point}


def _parameters(source: CSource, op: Normalisation) -> list[str]:
    return [source.constants.array("float", op.weight), source.constants.array("float", op.bias)]


WRITERS: dict[type[Operator], Writer] = {LayerNorm: _write_layer_norm, GroupNorm: _write_group_norm}
