"""The ONNX forms of operators that move values, which work on the codes themselves."""

from typing import Any

import numpy as np

from edgekd.formats.onnx.model import SHIFT, OnnxFile, Writer
from edgekd.graph.operators.arithmetic import quantize
from edgekd.graph.ops import Concat, Constant, Pad, Requantize, Reshape, Slice, Take, Transpose
from edgekd.graph.positions import repetitions
from edgekd.graph.structure import Operator


def _write_pad(file: OnnxFile, op: Pad) -> None:
    pads = np.array([[0, 0], *op.amounts], np.int64).T.ravel()
    value: Any = np.float32(op.value)
    if file.graph.tensors[op.output].quantization is not None:
        value = np.uint8(int(quantize(np.array(value), file.graph.quantization(op.output))) + SHIFT)
    names = [file.constant(f"{op.name}/pads", pads), file.constant(f"{op.name}/value", value)]
    file.node("Pad", [op.inputs[0], *names], op.output)


def _write_slice(file: OnnxFile, op: Slice) -> None:
    columns = np.array(op.ranges, np.int64).T
    axes = np.arange(1, len(op.ranges) + 1)
    arrays = zip(("begin", "end", "axes", "step"), (columns[0], columns[1], axes, columns[2]), strict=True)
    names = [file.constant(f"{op.name}/{name}", values, np.int64) for name, values in arrays]
    file.node("Slice", [op.inputs[0], *names], op.output)


def _write_reshape(file: OnnxFile, op: Reshape) -> None:
    shape = file.constant(f"{op.name}/shape", np.array((-1, *file.graph.tensors[op.output].shape), np.int64))
    file.node("Reshape", [op.inputs[0], shape], op.output)


def _write_transpose(file: OnnxFile, op: Transpose) -> None:
    file.node("Transpose", op.inputs, op.output, perm=[0, *(axis + 1 for axis in op.order)])


def _write_concat(file: OnnxFile, op: Concat) -> None:
    constants = {other.output for other in file.graph.operators if isinstance(other, Constant)}
    operand = next(name for name in op.inputs if name not in constants)
    names = [_for_each_sample(file, op, name, operand) if name in constants else name for name in op.inputs]
    file.node("Concat", names, op.output, axis=op.axis + 1)


def _for_each_sample(file: OnnxFile, op: Concat, tensor: str, operand: str) -> str:
    """Write a constant repeated for as many samples as another operand has."""
    sample_shape = file.constant(f"{op.name}/{tensor}/shape", np.array(file.graph.tensors[tensor].shape, np.int64))
    ends = [
        file.constant(f"{op.name}/{name}", np.array([position], np.int64))
        for name, position in (("first", 0), ("second", 1))
    ]
    batch_shape = file.node("Shape", [operand], f"{op.name}/{tensor}/shape of {operand}")
    samples = file.node("Slice", [batch_shape, *ends], f"{op.name}/{tensor}/samples")
    size = file.node("Concat", [samples, sample_shape], f"{op.name}/{tensor}/size", axis=0)
    return file.node("Expand", [tensor, size], f"{op.name}/{tensor}/expanded")


def _write_take(file: OnnxFile, op: Take) -> None:
    shape = file.graph.tensors[op.inputs[0]].shape
    axes = {axis: positions for axis, positions in enumerate(op.positions) if positions is not None}
    times = [repetitions(axes[axis], n) if axis in axes else 1 for axis, n in enumerate(shape)]
    if len(shape) == 3 and all(times):  # nearest neighbours, by whole factors
        scales = file.constant(f"{op.name}/scales", np.array([1, *times], np.float32))
        rule = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        file.node("Resize", [op.inputs[0], "", scales], op.output, mode="nearest", **rule)
        return
    source = op.inputs[0]
    for axis, positions in axes.items():
        indices = file.constant(f"{op.name}/positions{axis}", np.array(positions, np.int64))
        output = op.output if axis == max(axes) else f"{op.output}/{axis}"
        source = file.node("Gather", [source, indices], output, axis=axis + 1)


def _write_constant(file: OnnxFile, op: Constant) -> None:
    file.store(op.output, op.value)


def _write_requantize(file: OnnxFile, op: Requantize) -> None:
    file.node("QuantizeLinear", [file.values(op.inputs[0], op), *file.parameters(op.output)], op.output)


WRITERS: dict[type[Operator], Writer] = {
    Pad: _write_pad,
    Slice: _write_slice,
    Reshape: _write_reshape,
    Transpose: _write_transpose,
    Concat: _write_concat,
    Take: _write_take,
    Constant: _write_constant,
    Requantize: _write_requantize,
}
