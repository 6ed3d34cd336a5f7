"""A teacher in an ONNX file, run by onnxruntime on the CPU."""

from pathlib import Path

import numpy as np
import onnxruntime

from edgekd.data.splits import Splits
from edgekd.distillation.teachers.layout import Run, arranged, as_real, as_taken, axes_for, in_batches, unreadable
from edgekd.errors import ModelError

DTYPES = {
    "tensor(float)": np.float32, "tensor(float16)": np.float16, "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(int32)": np.int32, "tensor(int64)": np.int64,
}  # fmt: skip
ERRORS_ONLY = 3  # onnxruntime's log levels


def open_onnx(path: Path, splits: Splits, *, raw: bool) -> Run:
    """The file as a function of inputs (N, *input shape) in torch's order.

    Integer inputs and outputs are on the scales of the metadata that edgekd writes (`input_scale` and so on); files of
    other makers take pixels as codes, and give real numbers.

    Args:
        raw: the inputs come as the data set has them.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERRORS_ONLY
    try:
        session = onnxruntime.InferenceSession(str(path), sess_options=options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has a dozen kinds, without a parent of their own
        raise unreadable(path, "ONNX", error, "export it again, and try it with onnx.checker.check_model") from error
    taken = session.get_inputs()
    if len(taken) != 1 or taken[0].type not in DTYPES:
        told = ", ".join(f"{node.name} {node.type}" for node in taken)
        raise ModelError(f"{path.name} takes {told}; a teacher takes one tensor of numbers", "wrap it: teacher.call")
    sizes = [size if isinstance(size, int) else None for size in taken[0].shape]
    axes = axes_for(sizes[1:], splits.input_shape, path.name)
    dtype, name = np.dtype(DTYPES[taken[0].type]), taken[0].name
    output = session.get_outputs()[0].name
    metadata = session.get_modelmeta().custom_metadata_map
    into, out_of = _quantization(metadata, "input"), _quantization(metadata, "output")
    pixels = raw and splits.train.x.dtype == np.uint8

    def run(x: np.ndarray) -> np.ndarray:
        codes = as_taken(arranged(x, axes), dtype, *into, pixels=pixels, who=path.name)
        values = in_batches(codes, sizes[0], lambda piece: session.run([output], {name: piece})[0])
        return as_real(values, *out_of, who=path.name)

    return run


def _quantization(metadata: dict[str, str], role: str) -> tuple[float | None, int | None]:
    if f"{role}_scale" not in metadata:
        return None, None
    return float(metadata[f"{role}_scale"]), int(metadata[f"{role}_zero_point"])
