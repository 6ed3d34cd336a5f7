"""The ONNX forms of layer norm, by onnxruntime's own kernel, and of group norm, by exact steps; both in float."""

from math import prod

import numpy as np

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats.onnx.model import SHIFT, OnnxFile, Steps, Writer
from edgekd.graph.operators.normalisation import (
    BASE,
    LARGEST_GROUP,
    NARROWEST,
    WIDEST,
    epsilon_in_codes,
    largest_part,
)
from edgekd.graph.ops import GroupNorm, LayerNorm
from edgekd.graph.structure import Operator, Quantization


def _write_layer_norm(file: OnnxFile, op: LayerNorm) -> None:
    if file.graph.tensors[op.inputs[0]].quantization is not None and len(op.weight) < NARROWEST:
        raise UnsupportedOperatorError(
            f"layer {op.name} (layer_norm, {op.source}): onnxruntime's kernel for {len(op.weight)} values is not exact "
            "against any reference here",
            f'normalise over {NARROWEST} values or more, or export.formats = ["tflite"]',
        )
    parameters = [file.constant(f"{op.name}/{name}", getattr(op, name)) for name in op.parameters]
    inputs = [file.values(op.inputs[0], op), *parameters]
    file.result(op, "LayerNormalization", inputs, axis=-1, epsilon=op.epsilon)


def _write_group_norm(file: OnnxFile, op: GroupNorm) -> None:
    """Write the normalisation of a row for each group, then the weight and bias of a row for each channel."""
    source, steps = file.graph.tensors[op.inputs[0]], Steps(file, op)
    channels, *places = source.shape
    size = source.elements // op.groups
    if source.quantization is None:
        ones, zeros = (file.constant(f"{op.name}/{v}s", np.full(op.groups, v, np.float32)) for v in (1, 0))
        rows = _reshape(steps, source.name, (op.groups, size))
        normal = steps.apply("InstanceNormalization", [rows, ones, zeros], epsilon=op.epsilon)
    elif size > LARGEST_GROUP:
        raise UnsupportedOperatorError(
            f"layer {op.name} (group_norm, {op.source}): groups of {size} codes have no exact sums in float32",
            f'more groups, or keep the layer in float: quantize.float_layers = ["{op.name}"]',
        )
    else:
        normal = _standardise(steps, op, source.quantization, size)
    weight, bias = (file.constant(f"{op.name}/{name}", getattr(op, name)[:, None]) for name in op.parameters)
    by_channel = _reshape(steps, normal, (channels, prod(places)))
    result = steps.apply("Add", [steps.apply("Mul", [by_channel, weight]), bias])
    shape = file.constant(f"{op.name}/shape", np.array((-1, *source.shape), np.int64))
    file.result(op, "Reshape", [result, shape])


def _standardise(steps: Steps, op: GroupNorm, source: Quantization, size: int) -> str:
    """Write the standardised codes (groups, size), by exact means of codes and squares (`operators.normalisation`)."""
    unit_scale = (steps.number(1), steps.file.constant(f"{op.name}/zero_point", np.uint8(SHIFT)))
    codes = steps.apply("DequantizeLinear", [_reshape(steps, op.inputs[0], (op.groups, size)), *unit_scale])
    count, squares = steps.number(size), steps.apply("Mul", [codes, codes])
    mean = steps.apply("Div", [_sum(steps, codes), count])
    square = steps.apply("Div", [_total_of_squares(steps, squares, op.groups, size), count])
    variance = steps.apply("Relu", [steps.apply("Sub", [square, steps.apply("Mul", [mean, mean])])])
    epsilon = steps.file.constant(f"{op.name}/epsilon", epsilon_in_codes(op, source))
    deviation = steps.apply("Sqrt", [steps.apply("Add", [variance, epsilon])])
    return steps.apply("Div", [steps.apply("Sub", [codes, mean]), deviation])


def _total_of_squares(steps: Steps, squares: str, groups: int, size: int) -> str:
    """Write the sum of each group, rounded once; a large group is summed by the digits of its parts' sums."""
    part = largest_part(size, WIDEST)
    if part == size:
        return _sum(steps, squares)
    sums, base = _sum(steps, _reshape(steps, squares, (groups, size // part, part))), steps.number(BASE)
    upper = steps.apply("Floor", [steps.apply("Div", [sums, base])])
    lower = steps.apply("Sub", [sums, steps.apply("Mul", [upper, base])])
    totals = [_sum(steps, _reshape(steps, digit, (groups, size // part))) for digit in (upper, lower)]
    return steps.apply("Add", [steps.apply("Mul", [totals[0], base]), totals[1]])


def _sum(steps: Steps, x: str) -> str:
    """Write the sum over the last axis, which stays with length 1."""
    return steps.apply("ReduceSum", [x, steps.file.constant(f"{steps.op.name}/last", np.array([-1], np.int64))])


def _reshape(steps: Steps, x: str, shape: tuple[int, ...]) -> str:
    name = f"{steps.op.name}/{' x '.join(map(str, shape))}"
    return steps.apply("Reshape", [x, steps.file.constant(name, np.array((-1, *shape), np.int64))])


WRITERS: dict[type[Operator], Writer] = {LayerNorm: _write_layer_norm, GroupNorm: _write_group_norm}
