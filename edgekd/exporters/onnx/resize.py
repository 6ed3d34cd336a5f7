"""Bilinear resizing: on real values between codes, since onnxruntime's own kernel on codes cuts fractions off."""

import numpy as np

from edgekd.exporters.onnx.model import OnnxFile, Writer
from edgekd.graph.integer.resize import onnx_scale
from edgekd.graph.ops import Resize
from edgekd.graph.structure import Operator


def _write_resize(file: OnnxFile, op: Resize) -> None:
    before, after = (file.graph.tensors[name].shape[1:] for name in (op.inputs[0], op.output))
    factors = [onnx_scale(n, m) for n, m in zip(before, after, strict=True)]
    scales = file.constant(f"{op.name}/scales", np.array([1, 1, *factors], np.float32))
    mode = "align_corners" if op.align_corners else "half_pixel"
    inputs = [file.values(op.inputs[0], op), "", scales]
    file.result(op, "Resize", inputs, mode="linear", coordinate_transformation_mode=mode)


WRITERS: dict[type[Operator], Writer] = {Resize: _write_resize}
