"""Operators that move values: on the codes themselves."""

from typing import Any

import numpy as np

from edgekd.exporters.onnx.model import SHIFT, OnnxFile, Writer
from edgekd.graph.ops import Constant, Pad, Reshape, Slice
from edgekd.graph.structure import Operator


def _write_pad(file: OnnxFile, op: Pad) -> None:
    pads = np.array([[0, 0], *op.amounts], np.int64).T.ravel()
    value: Any = np.float32(0)
    if file.graph.tensors[op.output].quantization is not None:
        value = np.uint8(file.graph.quantization(op.output).zero_point + SHIFT)
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


def _write_constant(file: OnnxFile, op: Constant) -> None:
    file.stored(op.output, op.value)


WRITERS: dict[type[Operator], Writer] = {
    Pad: _write_pad,
    Slice: _write_slice,
    Reshape: _write_reshape,
    Constant: _write_constant,
}
