"""Runs a TFLite file on this machine under TFLite Micro's reference kernels."""

import struct
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from edgekd.errors import MissingExtraError, ModelError
from edgekd.runtimes.litert import tensor_infos
from edgekd.runtimes.stderr import captured_stderr
from edgekd.runtimes.tensors import check_batches, check_file

ARENA_BYTES = 256 * 2**20
"""The size of the arena; the operating system allocates only the pages that a model writes."""


class TFLMRunner:
    """A loaded TFLite file.

    Attributes:
        inputs, outputs: name, shape, dtype, quantization and order of axes of the file's inputs and outputs.
        input, output: the first input and output.
        kernels: the name of the kernel set; other kernel sets round differently.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        """Load a file; `threads` is ignored, since TFLite Micro has one thread."""
        try:
            from tflite_micro import runtime
        except ModuleNotFoundError as error:
            raise MissingExtraError(
                "running TFLite Micro's kernels needs tflite-micro, which is not installed",
                "pip install 'edgekd[tflm]'",
            ) from error
        self.path = Path(path)
        check_file(self.path)
        self._file = self.path.read_bytes()  # the interpreter reads weights from these bytes
        messages: list[str] = []
        try:
            with captured_stderr() as messages:
                self._interpreter = runtime.Interpreter.from_bytes(self._file, arena_size=ARENA_BYTES)
        except (RuntimeError, ValueError, struct.error) as error:
            raise ModelError(
                f"{self.path.name} can't be read as TFLite by TFLite Micro: {'; '.join([*messages, str(error)])}",
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
        """Run the file on (N, ...) of every input, in its dtype and order; return (N, ...) of the first output."""
        return self.run_all(*x)[0]

    def run_all(self, *x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Run the file on (N, ...) of every input, sample by sample; return (N, ...) of every output."""
        check_batches(x, self.inputs, self.path)
        results = tuple(np.empty((len(x[0]), *output.shape), output.dtype) for output in self.outputs)
        for position in range(len(x[0])):
            self.ready(*(values[position : position + 1] for values in x))()
            for i, result in enumerate(results):
                result[position] = self._interpreter.get_output(i)[0]
        return results

    def ready(self, *x: np.ndarray) -> Callable[[], object]:
        """Return a function that runs one inference of `x`, (1, ...) for each input, and nothing else, for timing."""
        check_batches(x, self.inputs, self.path)
        for i, values in enumerate(x):
            self._interpreter.set_input(values, i)
        invoke: Callable[[], object] = self._interpreter.invoke
        return invoke
