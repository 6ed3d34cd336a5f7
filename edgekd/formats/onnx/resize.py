"""Bilinear resizing: on real values between codes, since onnxruntime's own kernel on codes cuts fractions off."""

import numpy as np

from edgekd.formats.onnx.model import OnnxFile, Writer
from edgekd.graph.operators.resize import onnx_scale
from edgekd.graph.ops import Resize, Transpose
from edgekd.graph.structure import Operator


def _write_resize(file: OnnxFile, op: Resize) -> None:
    before, after = (file.graph.tensors[name].shape[1:] for name in (op.inputs[0], op.output))
    factors = [onnx_scale(n, m) for n, m in zip(before, after, strict=True)]
    scales = file.constant(f"{op.name}/scales", np.array([1, 1, *factors], np.float32))
    mode = "align_corners" if op.align_corners else "half_pixel"
    resizing = {"mode": "linear", "coordinate_transformation_mode": mode}
    if before[0] != after[0] and not any(isinstance(other, Transpose) for other in file.graph.operators):
        file.result(op, "Resize", [file.values(op.inputs[0], op), "", scales], **resizing)
        return
    # onnxruntime moves transposes, its own to channels last too, through a Resize: to axes that its kernel does not
    # have, or takes for others (channels for rows where those stay as many). Through a Reshape it can't.
    (channels, *size), name = file.graph.tensors[op.output].shape, op.name
    single, back = ((-1, 1, *before), (-1, channels, *size))
    shapes = [file.constant(f"{name}/{n}", np.array(s, np.int64)) for n, s in (("single", single), ("back", back))]
    images = file.node("Reshape", [file.values(op.inputs[0], op), shapes[0]], f"{name}/images")
    resized = file.node("Resize", [images, "", scales], f"{name}/resized", **resizing)
    file.result(op, "Reshape", [resized, shapes[1]])


WRITERS: dict[type[Operator], Writer] = {Resize: _write_resize}
