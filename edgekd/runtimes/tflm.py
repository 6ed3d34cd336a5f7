"""Runs a TFLite file under TFLite Micro's reference kernels, compiled for this machine."""

import struct
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.errors import MissingExtraError, ModelError
from edgekd.runtimes.litert import tensor_infos
from edgekd.runtimes.stderr import held_stderr
from edgekd.runtimes.tensors import check_batches, check_file

ARENA_BYTES = 256 * 2**20
"""Address space only: the system gives memory to the part that a model touches."""


class TFLMRunner:
    """A loaded TFLite file.

    Attributes:
        inputs, outputs: what the file takes and gives; `axes` tells the order of a sample's axes.
        input, output: the only ones, or the first.
        kernels: the kernel set behind the results; other kernel sets round differently.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        """`threads` is there because runners have it; TFLite Micro has one."""
        try:
            from tflite_micro import runtime
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "running TFLite Micro's kernels needs tflite-micro, which is not installed",
                "pip install 'edgekd[tflm]'",
            ) from error
        self.path = Path(path)
        check_file(self.path)
        self._file = self.path.read_bytes()  # the interpreter reads weights where they lie
        said: list[str] = []
        try:
            with held_stderr() as said:
                self._interpreter = runtime.Interpreter.from_bytes(self._file, arena_size=ARENA_BYTES)
        except (RuntimeError, ValueError, struct.error) as error:
            raise ModelError(
                f"{self.path.name} can't be read as TFLite by TFLite Micro: {'; '.join([*said, str(error)])}",
                "edgekd build, which writes the file anew",
            ) from error
        main = schema.Model.GetRootAs(self._file, 0).Subgraphs(0)
        names = [main.Tensors(main.Inputs(i)).Name().decode() for i in range(main.InputsLength())]
        details = [self._interpreter.get_input_details(i) for i in range(len(names))]
        self.inputs = tensor_infos(self._file, "input", names, details)
        names = [main.Tensors(main.Outputs(i)).Name().decode() for i in range(main.OutputsLength())]
        details = [self._interpreter.get_output_details(i) for i in range(len(names))]
        self.outputs = tensor_infos(self._file, "output", names, details)
        self.input, self.output = self.inputs[0], self.outputs[0]
        self.kernels = f"TFLite Micro {version('tflite-micro')} reference kernels, 1 thread"

    def run(self, *x: np.ndarray) -> np.ndarray:
        """(N, ...) of every input in the file's dtype and order -> (N, ...) of the only output, or the first."""
        return self.run_all(*x)[0]

    def run_all(self, *x: np.ndarray) -> tuple[np.ndarray, ...]:
        """(N, ...) of every input -> (N, ...) of every output, sample by sample: the file's batch is 1."""
        check_batches(x, self.inputs, self.path)
        results = tuple(np.empty((len(x[0]), *output.shape), output.dtype) for output in self.outputs)
        for position in range(len(x[0])):
            self.ready(*(values[position : position + 1] for values in x))()
            for i, result in enumerate(results):
                result[position] = self._interpreter.get_output(i)[0]
        return results

    def ready(self, *x: np.ndarray) -> Callable[[], object]:
        """A call that runs one inference of `x`, (1, ...) for each input, and nothing else: for a stopwatch."""
        check_batches(x, self.inputs, self.path)
        for i, values in enumerate(x):
            self._interpreter.set_input(values, i)
        invoke: Callable[[], object] = self._interpreter.invoke
        return invoke
