"""Runs a TFLite file under LiteRT's default kernels on this machine."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgekd.errors import ModelError
from edgekd.runners.tensors import TensorInfo, check_batches, check_file, plural, quiet_stderr


class LiteRTRunner:
    """A loaded TFLite file.

    Attributes:
        inputs, outputs: what the file takes and gives; samples are channels last.
        input, output: the only ones, or the first.
        kernels: the kernel set behind the results; other kernel sets round differently.
    """

    channels_last = True

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path = Path(path)
        check_file(self.path)
        try:
            with quiet_stderr():
                self._interpreter = Interpreter(model_path=str(self.path), num_threads=threads)
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"{self.path.name} can't be read as TFLite: {str(error).strip()}",
                "edgekd build, which writes the file anew",
            ) from error
        taken, given = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self.inputs, self.outputs = tuple(map(_info, taken)), tuple(map(_info, given))
        self.input, self.output = self.inputs[0], self.outputs[0]
        self._taken, self._given = [d["index"] for d in taken], [d["index"] for d in given]
        self.kernels = f"LiteRT {version('ai-edge-litert')} default kernels (XNNPACK), {plural(threads, 'thread')}"

    def run(self, *x: np.ndarray) -> np.ndarray:
        """(N, ...) of every input in the file's dtype and order -> (N, ...) of the only output, or the first."""
        return self.run_all(*x)[0]

    def run_all(self, *x: np.ndarray) -> tuple[np.ndarray, ...]:
        """(N, ...) of every input -> (N, ...) of every output, sample by sample: the file's batch is 1."""
        check_batches(x, self.inputs, self.path)
        results = tuple(np.empty((len(x[0]), *output.shape), output.dtype) for output in self.outputs)
        for position in range(len(x[0])):
            for index, values in zip(self._taken, x, strict=True):
                self._interpreter.set_tensor(index, values[position : position + 1])
            self._interpreter.invoke()
            for result, index in zip(results, self._given, strict=True):
                result[position] = self._interpreter.get_tensor(index)[0]
        return results

    def ready(self, *x: np.ndarray) -> Callable[[], object]:
        """A call that runs one inference of `x`, (1, ...) for each input, and nothing else: for a stopwatch."""
        check_batches(x, self.inputs, self.path)
        for index, values in zip(self._taken, x, strict=True):
            self._interpreter.set_tensor(index, values)
        invoke: Callable[[], object] = self._interpreter.invoke
        return invoke


def _info(details: dict[str, Any]) -> TensorInfo:
    quantization = details["quantization_parameters"]
    quantized = len(quantization["scales"]) == 1
    return TensorInfo(
        name=details["name"],
        shape=tuple(int(size) for size in details["shape"][1:]),
        dtype=np.dtype(details["dtype"]),
        scale=float(quantization["scales"][0]) if quantized else None,
        zero_point=int(quantization["zero_points"][0]) if quantized else None,
    )
