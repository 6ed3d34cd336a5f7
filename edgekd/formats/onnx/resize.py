"""The ONNX form of bilinear resizing, on real values: onnxruntime's kernel on codes does not round but truncates."""

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
    # onnxruntime moves transposes, its own to channels last too, through a Resize: to axes that its kernel can't
    # resize, or confuses with others (channels with rows where the number of rows stays). It moves none through a
    # Reshape.
    (channels, *size), name = file.graph.tensors[op.output].shape, op.name
    image_shape = file.constant(f"{name}/single", np.array((-1, 1, *before), np.int64))
    output_shape = file.constant(f"{name}/back", np.array((-1, channels, *size), np.int64))
    images = file.node("Reshape", [file.values(op.inputs[0], op), image_shape], f"{name}/images")
    image = file.node("Resize", [images, "", scales], f"{name}/resized", **resizing)
    file.result(op, "Reshape", [image, output_shape])


WRITERS: dict[type[Operator], Writer] = {Resize: _write_resize}
