"""A teacher in an ONNX file, run by onnxruntime on the CPU."""

from pathlib import Path

import numpy as np
import onnxruntime

from edgekd.data.splits import Splits
from edgekd.distillation.teachers.layout import (
    Run,
    axes_for,
    in_batches,
    to_file_axes,
    to_file_input,
    to_real,
    unreadable,
)
from edgekd.errors import ModelError

DTYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(int32)": np.int32, "tensor(int64)": np.int64,
}  # fmt: skip
ERRORS_ONLY = 3  # onnxruntime's log levels


def open_onnx(path: Path, splits: Splits, *, raw: bool) -> Run:
    """Return the file as a function of inputs (N, *input shape) in torch's order.

    Integer inputs and outputs are on the scales of the metadata that edgekd writes (`input_scale` and so on); files of
    other makers take pixels as codes, and return real numbers.

    Args:
        raw: the function takes inputs as the data set has them, not normalised.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    try:
        session = onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen kinds, without a parent of their own
        raise unreadable(path, "ONNX", error, "export it again, and try it with onnx.checker.check_model") from error
    inputs = session.get_inputs()
    if len(inputs) != 1 or inputs[0].type not in DTYPES:
        signature = ", ".join(f"{node.name} {node.type}" for node in inputs)
        raise ModelError(
            f"{path.name} takes {signature}; a teacher takes one tensor of numbers", "wrap it: teacher.call"
        )
    sizes = [size if isinstance(size, int) else None for size in inputs[0].shape]
    axes = axes_for(sizes[1:], splits.input_shape, path.name)
    dtype, name = np.dtype(DTYPES[inputs[0].type]), inputs[0].name
    output = session.get_outputs()[0].name
    metadata = session.get_modelmeta().custom_metadata_map
    input_quantization, output_quantization = _quantization(metadata, "input"), _quantization(metadata, "output")
    pixels = raw and splits.train.x.dtype == np.uint8

    def run(x: np.ndarray) -> np.ndarray:
        codes = to_file_input(to_file_axes(x, axes), dtype, *input_quantization, pixels=pixels, who=path.name)
        values = in_batches(codes, sizes[0], lambda piece: session.run([output], {name: piece})[0])
        return to_real(values, *output_quantization, who=path.name)

    return run


def _quantization(metadata: dict[str, str], role: str) -> tuple[float | None, int | None]:
    if f"{role}_scale" not in metadata:
        return None, None
    return float(metadata[f"{role}_scale"]), int(metadata[f"{role}_zero_point"])
