"""A teacher in a TFLite file, run by LiteRT; 8-bit inputs and outputs are on the file's own scales."""

from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgekd.data.splits import Splits
from edgekd.distillation.teachers.layout import Run, arranged, as_real, as_taken, axes_for, in_batches, unreadable
from edgekd.errors import ModelError
from edgekd.runtimes.stderr import quiet_stderr


def open_tflite(path: Path, splits: Splits, *, raw: bool) -> Run:
    """The file as a function of inputs (N, *input shape) in torch's order, run in batches of the file's own size.

    A batch of 1 is not resized: files with a RESHAPE to fixed sizes would answer wrongly or not at all.

    Args:
        raw: the inputs come as the data set has them.
    """
    try:
        with quiet_stderr():
            interpreter = Interpreter(model_path=str(path))
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise unreadable(path, "TFLite", error, "convert it again") from error
    inputs, given = interpreter.get_input_details(), interpreter.get_output_details()[0]
    if len(inputs) != 1:
        raise ModelError(f"{path.name} takes {len(inputs)} tensors; a teacher takes one", "wrap it: teacher.call")
    taken = inputs[0]
    batch, *sizes = (int(size) for size in taken["shape"])
    axes = axes_for(sizes, splits.input_shape, path.name, channels_last=True)
    pixels = raw and splits.train.x.dtype == np.uint8

    def invoke(piece: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(taken["index"], piece)
        interpreter.invoke()
        return np.array(interpreter.get_tensor(given["index"]))

    def run(x: np.ndarray) -> np.ndarray:
        dtype = np.dtype(taken["dtype"])
        codes = as_taken(arranged(x, axes), dtype, *_quantization(taken), pixels=pixels, who=path.name)
        return as_real(in_batches(codes, batch, invoke), *_quantization(given), who=path.name)

    return run


def _quantization(details: dict[str, Any]) -> tuple[float | None, int | None]:
    found = details["quantization_parameters"]
    if len(found["scales"]) != 1:
        return None, None
    return float(found["scales"][0]), int(found["zero_points"][0])
