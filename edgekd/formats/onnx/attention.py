"""The ONNX forms of products of activations and of softmax."""

import numpy as np

from edgekd.formats.onnx.model import SHIFT, OnnxFile, Writer
from edgekd.graph.ops import MatMul, Softmax
from edgekd.graph.structure import Operator


def _write_matmul(file: OnnxFile, op: MatMul) -> None:
    names = []
    for i, (name, transpose) in enumerate(zip(op.inputs, (op.transpose_a, op.transpose_b), strict=True)):
        if not transpose:
            names.append(file.values(name, op))
            continue
        rank = len(file.graph.tensors[name].shape) + 1
        codes = file.node("Transpose", [name], f"{op.name}/turned{i}", perm=[*range(rank - 2), rank - 1, rank - 2])
        names.append(file.values(name, op, codes))
    file.result(op, "MatMul", names)


def _write_softmax(file: OnnxFile, op: Softmax) -> None:
    """Write a softmax whose factor is folded into the scale of its DequantizeLinear."""
    (name,) = op.inputs
    q = file.graph.tensors[name].quantization
    if q is None:
        factor = file.constant(f"{op.name}/beta", np.float32(op.beta))
        value = file.node("Mul", [name, factor], f"{op.output}/scaled") if op.beta != 1 else name
        file.result(op, "Softmax", [value], axis=-1)
        return
    scale = file.constant(f"{op.name}/input_scale", np.float32(q.scale) * np.float32(op.beta), np.float32)
    zero_point = file.constant(f"{op.name}/input_zero_point", np.uint8(q.zero_point + SHIFT))
    value = file.node("DequantizeLinear", [name, scale, zero_point], f"{op.output}/scaled")
    file.result(op, "Softmax", [value], axis=-1)


WRITERS: dict[type[Operator], Writer] = {MatMul: _write_matmul, Softmax: _write_softmax}
