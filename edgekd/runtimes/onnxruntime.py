"""Runs an ONNX file under onnxruntime's CPU kernels on this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from edgekd.errors import ModelError
from edgekd.runtimes.tensors import TensorInfo, check_batches, check_file, plural

DTYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8, "tensor(int32)": np.int32}
ERRORS_ONLY = 3  # onnxruntime's log level 3; level 2 also prints warnings of its graph optimiser


class OnnxRuntimeRunner:
    """A loaded ONNX file.

    Attributes:
        inputs, outputs: name, shape, dtype and quantization of the file's inputs and outputs, channels first. Scale and
            zero point are read from the metadata: `input_scale`, `input_zero_point`, `output_scale`,
            `output_zero_point`, and `input_1_scale` and so on for further ones.
        input, output: the first input and output.
        kernels: the name of the kernel set; other kernel sets round differently.
    """

    def __init__(self, path: Path, threads: int = 1) -> None:
        self.path = Path(path)
        check_file(self.path)
        try:
            self._session = onnxruntime.InferenceSession(
                str(self.path), sess_options=_options(threads), providers=["CPUExecutionProvider"]
            )
        except (
            ort_errors.Fail,
            ort_errors.InvalidArgument,
            ort_errors.InvalidGraph,
            ort_errors.InvalidProtobuf,
            ort_errors.NotImplemented,
            ort_errors.RuntimeException,
        ) as error:
            raise ModelError(
                f"{self.path.name} can't be read as ONNX: {str(error).splitlines()[0]}",
                "edgekd build, which writes the file anew",
            ) from error
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.inputs, self.outputs = _infos(inputs, "input", metadata), _infos(outputs, "output", metadata)
        self.input, self.output = self.inputs[0], self.outputs[0]
        self.kernels = f"onnxruntime {onnxruntime.__version__} CPU kernels (exact on x64), {plural(threads, 'thread')}"

    def run(self, *x: np.ndarray, batch: int = 256) -> np.ndarray:
        """Run the file on (N, ...) of every input, in its dtype and order; return (N, ...) of the first output."""
        return self.run_all(*x, batch=batch)[0]

    def run_all(self, *x: np.ndarray, batch: int = 256) -> tuple[np.ndarray, ...]:
        """Run the file on (N, ...) of every input, `batch` samples at a time; return (N, ...) of every output."""
        check_batches(x, self.inputs, self.path)
        parts = [
            self._session.run(None, {info.name: v[i : i + batch] for info, v in zip(self.inputs, x, strict=True)})
            for i in range(0, len(x[0]), batch)
        ]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))

    def ready(self, *x: np.ndarray) -> Callable[[], object]:
        """Return a function that runs one inference of `x`, (1, ...) for each input, and nothing else, for timing."""
        check_batches(x, self.inputs, self.path)
        run, inputs = self._session.run, {info.name: v for info, v in zip(self.inputs, x, strict=True)}
        return lambda: run(None, inputs)


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = ERRORS_ONLY
    # On x64 without VNNI, kernels of uint8 activations and int8 weights add pairs of products in 16 bits, which
    # saturates. With this setting onnxruntime uses exact kernels on uint8 weights instead. With VNNI it does so too,
    # which costs some time and does not change the outputs.
    # (onnxruntime_session_options_config_keys.h, kOrtSessionOptionsAvx2PrecisionMode)
    options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def _infos(nodes: Any, role: str, metadata: dict[str, str]) -> tuple[TensorInfo, ...]:
    return tuple(_info(node, f"{role}_{i}" if i else role, metadata) for i, node in enumerate(nodes))


def _info(node: Any, role: str, metadata: dict[str, str]) -> TensorInfo:
    if node.type not in DTYPES:
        raise ModelError(f"{role} {node.name} is a {node.type}; edgekd runs float, uint8, int8 and int32")
    quantized = node.type != "tensor(float)" and f"{role}_scale" in metadata
    return TensorInfo(
        name=node.name,
        shape=tuple(node.shape[1:]),
        dtype=np.dtype(DTYPES[node.type]),
        scale=float(metadata[f"{role}_scale"]) if quantized else None,
        zero_point=int(metadata[f"{role}_zero_point"]) if quantized else None,
    )
