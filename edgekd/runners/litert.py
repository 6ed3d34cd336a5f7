"""Runs a TFLite file under LiteRT's default kernels on this machine."""

from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from edgekd.errors import ModelError
from edgekd.runners.tensors import TensorInfo, check_batch, check_file, plural, quiet_stderr


class LiteRTRunner:
    """A loaded TFLite file.

    Attributes:
        input, output: what the file takes and gives; samples are channels last.
        kernels: the kernel set behind the results; other kernel sets round differently.
    """

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
        if len(taken) != 1 or len(given) != 1:
            count = f"{len(taken)} inputs and {len(given)} outputs"
            raise ModelError(f"{self.path.name} has {count}; edgekd runs files with one of each")
        self.input, self.output = _info(taken[0]), _info(given[0])
        self._input_index, self._output_index = taken[0]["index"], given[0]["index"]
        self.kernels = f"LiteRT {version('ai-edge-litert')} default kernels (XNNPACK), {plural(threads, 'thread')}"

    def run(self, x: np.ndarray) -> np.ndarray:
        """(N, ...) in the file's dtype and order -> (N, ...) outputs, sample by sample: the file's batch is 1."""
        check_batch(x, self.input, self.path)
        results = np.empty((len(x), *self.output.shape), self.output.dtype)
        for position in range(len(x)):
            self._interpreter.set_tensor(self._input_index, x[position : position + 1])
            self._interpreter.invoke()
            results[position] = self._interpreter.get_tensor(self._output_index)[0]
        return results

    def ready(self, x: np.ndarray) -> Callable[[], object]:
        """A call that runs one inference of `x`, (1, ...), and nothing else: for a stopwatch."""
        check_batch(x, self.input, self.path)
        self._interpreter.set_tensor(self._input_index, x)
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
