"""Runs a TFLite file on this machine under LiteRT, by its default kernels or by its reference kernels."""

from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from edgekd.errors import ModelError
from edgekd.runtimes.axes import stored_axes
from edgekd.runtimes.stderr import quiet_stderr
from edgekd.runtimes.tensors import TensorInfo, check_batches, check_file, plural


class LiteRTRunner:
    """A loaded TFLite file.

    Args:
        path: the path of the file.
        threads: the number of threads.
        reference: whether to run LiteRT's reference kernels, which follow TFLite Micro's arithmetic.

    Attributes:
        inputs, outputs: name, shape, dtype, quantization and order of axes of the file's inputs and outputs.
        input, output: the first input and output.
        kernels: the name of the kernel set; other kernel sets round differently.
    """

    def __init__(self, path: Path, threads: int = 1, reference: bool = False) -> None:
        self.path = Path(path)
        check_file(self.path)
        resolver = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
        try:
            with quiet_stderr():
                self._interpreter = Interpreter(
                    model_path=str(self.path), num_threads=threads, experimental_op_resolver_type=resolver
                )
                self._interpreter.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            raise ModelError(
                f"{self.path.name} can't be read as TFLite: {str(error).strip()}",
                "edgekd build, which writes the file anew",
            ) from error
        inputs, outputs = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        file = self.path.read_bytes()
        self.inputs = tensor_infos(file, "input", [d["name"] for d in inputs], inputs)
        self.outputs = tensor_infos(file, "output", [d["name"] for d in outputs], outputs)
        self.input, self.output = self.inputs[0], self.outputs[0]
        self._input_indices, self._output_indices = [d["index"] for d in inputs], [d["index"] for d in outputs]
        kind = "reference kernels" if reference else "default kernels (XNNPACK)"
        self.kernels = f"LiteRT {version('ai-edge-litert')} {kind}, {plural(threads, 'thread')}"

    def run(self, *x: np.ndarray) -> np.ndarray:
        """Run the file on (N, ...) of every input, in its dtype and order; return (N, ...) of the first output."""
        return self.run_all(*x)[0]

    def run_all(self, *x: np.ndarray) -> tuple[np.ndarray, ...]:
        """Run the file on (N, ...) of every input, sample by sample; return (N, ...) of every output."""
        check_batches(x, self.inputs, self.path)
        results = tuple(np.empty((len(x[0]), *output.shape), output.dtype) for output in self.outputs)
        for position in range(len(x[0])):
            for index, values in zip(self._input_indices, x, strict=True):
                self._interpreter.set_tensor(index, values[position : position + 1])
            self._interpreter.invoke()
            for result, index in zip(results, self._output_indices, strict=True):
                result[position] = self._interpreter.get_tensor(index)[0]
        return results

    def ready(self, *x: np.ndarray) -> Callable[[], object]:
        """Return a function that runs one inference of `x`, (1, ...) for each input, and nothing else, for timing."""
        check_batches(x, self.inputs, self.path)
        for index, values in zip(self._input_indices, x, strict=True):
            self._interpreter.set_tensor(index, values)
        invoke: Callable[[], object] = self._interpreter.invoke
        return invoke


def reference(path: Path, threads: int = 1) -> LiteRTRunner:
    """Load a file with LiteRT's reference kernels; the catalog names this function."""
    return LiteRTRunner(path, threads, reference=True)


def tensor_infos(file: bytes, role: str, names: list[str], details: Sequence[dict[str, Any]]) -> tuple[TensorInfo, ...]:
    """Collect the description of a file's inputs or outputs from an interpreter's details and the file's metadata."""
    axes = stored_axes(file, role, [len(d["shape"]) - 1 for d in details])
    return tuple(_info(*arguments) for arguments in zip(names, details, axes, strict=True))


def _info(name: str, details: dict[str, Any], axes: tuple[int, ...]) -> TensorInfo:
    quantization = details["quantization_parameters"]
    quantized = len(quantization["scales"]) == 1
    return TensorInfo(
        name=name,
        shape=tuple(int(size) for size in details["shape"][1:]),
        dtype=np.dtype(details["dtype"]),
        scale=float(quantization["scales"][0]) if quantized else None,
        zero_point=int(quantization["zero_points"][0]) if quantized else None,
        axes=axes,
    )
