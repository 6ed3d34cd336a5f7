"""A teacher in a TFLite file, run by LiteRT; 8-bit inputs and outputs are on the file's own scales."""

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

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
from edgekd.runtimes.stderr import quiet_stderr


def open_tflite(path: Path, splits: Splits, *, raw: bool) -> Run:
    """Return the file as a function of inputs (N, *input shape) in torch's order, run in batches of the file's size.

    A batch of 1 is not resized: files with a RESHAPE to fixed sizes would answer wrongly or not at all.

    Args:
        raw: the function takes inputs as the data set has them, not normalised.
    """
    try:
        with quiet_stderr():
            interpreter = Interpreter(model_path=str(path))
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise unreadable(path, "TFLite", error, "convert it again") from error
    inputs, output = interpreter.get_input_details(), interpreter.get_output_details()[0]
    if len(inputs) != 1:
        raise ModelError(f"{path.name} takes {len(inputs)} tensors; a teacher takes one", "wrap it: teacher.call")
    details = inputs[0]
    batch, *sizes = (int(size) for size in details["shape"])
    axes = axes_for(sizes, splits.input_shape, path.name, channels_last=True)
    pixels = raw and splits.train.x.dtype == np.uint8

    def invoke(piece: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(details["index"], piece)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(output["index"]))

    def run(x: np.ndarray) -> np.ndarray:
        dtype = np.dtype(details["dtype"])
        codes = to_file_input(to_file_axes(x, axes), dtype, *_quantization(details), pixels=pixels, who=path.name)
        return to_real(in_batches(codes, batch, invoke), *_quantization(output), who=path.name)

    return run


def _quantization(details: dict[str, Any]) -> tuple[float | None, int | None]:
    parameters = details["quantization_parameters"]
    if len(parameters["scales"]) != 1:
        return None, None
    return float(parameters["scales"][0]), int(parameters["zero_points"][0])
