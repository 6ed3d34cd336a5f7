"""The ONNX forms of the boundaries of float islands."""

import numpy as np

from edgekd.formats.onnx.model import SHIFT, OnnxFile, Writer
from edgekd.graph.ops import Dequantize, Quantize
from edgekd.graph.structure import Operator


def _write_dequantize(file: OnnxFile, op: Dequantize) -> None:
    """Write a DequantizeLinear that repeats its one scale along an axis, so that what follows stays in float.

    Float weights between a DequantizeLinear of one scale and a QuantizeLinear look unquantised to onnxruntime (1.31,
    weight_bias_quantization.cc), which rounds them to int8 with one scale for the whole tensor.
    """
    q, shape = file.graph.quantization(op.inputs[0]), file.graph.tensors[op.inputs[0]].shape
    axis = next((i for i, size in enumerate(shape) if size > 1), None)
    if axis is None:
        file.node("DequantizeLinear", [op.inputs[0], *file.parameters(op.inputs[0])], op.output)
        return
    scale = file.constant(f"{op.output}/scales", np.full(shape[axis], q.scale), np.float32)
    zero_point = file.constant(f"{op.output}/zero_points", np.full(shape[axis], q.zero_point + SHIFT), np.uint8)
    file.node("DequantizeLinear", [op.inputs[0], scale, zero_point], op.output, axis=axis + 1)


def _write_quantize(file: OnnxFile, op: Quantize) -> None:
    file.node("QuantizeLinear", [op.inputs[0], *file.parameters(op.output)], op.output)


WRITERS: dict[type[Operator], Writer] = {Dequantize: _write_dequantize, Quantize: _write_quantize}
