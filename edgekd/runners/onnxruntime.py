"""Runs an ONNX file under onnxruntime's CPU kernels on this machine."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from edgekd.errors import ModelError
from edgekd.runners.tensors import TensorInfo, check_batch, check_file, plural

DTYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}
ERRORS_ONLY = 3  # onnxruntime's log levels: 2 would print warnings about the optimiser's own doings


class OnnxRuntimeRunner:
    """A loaded ONNX file.

    Attributes:
        input, output: what the file takes and gives; samples are channels first. Scale and zero point come from
            the file's metadata: `input_scale`, `input_zero_point`, `output_scale`, `output_zero_point`.
        kernels: the kernel set behind the results; other kernel sets round differently.
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
        taken, given = self._session.get_inputs(), self._session.get_outputs()
        if len(taken) != 1 or len(given) != 1:
            count = f"{len(taken)} inputs and {len(given)} outputs"
            raise ModelError(f"{self.path.name} has {count}; edgekd runs files with one of each")
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.input, self.output = _info(taken[0], "input", metadata), _info(given[0], "output", metadata)
        self.kernels = f"onnxruntime {onnxruntime.__version__} CPU kernels (exact on x64), {plural(threads, 'thread')}"

    def run(self, x: np.ndarray, batch: int = 256) -> np.ndarray:
        """(N, ...) in the file's dtype and order -> (N, ...) outputs."""
        check_batch(x, self.input, self.path)
        feed = (x[start : start + batch] for start in range(0, len(x), batch))
        return np.concatenate([self._session.run(None, {self.input.name: part})[0] for part in feed])

    def ready(self, x: np.ndarray) -> Callable[[], object]:
        """A call that runs one inference of `x`, (1, ...), and nothing else: for a stopwatch."""
        check_batch(x, self.input, self.path)
        run, feed = self._session.run, {self.input.name: x}
        return lambda: run(None, feed)


def _options(threads: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = ERRORS_ONLY
    # On x64 without VNNI, kernels of uint8 activations and int8 weights add pairs of products in 16 bits, which
    # saturates. With this, onnxruntime takes its slower exact kernels there; CPUs with VNNI (and ARM) are untouched.
    # (onnxruntime_session_options_config_keys.h, kOrtSessionOptionsAvx2PrecisionMode)
    options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def _info(node: Any, role: str, metadata: dict[str, str]) -> TensorInfo:
    if node.type not in DTYPES:
        raise ModelError(f"{role} {node.name} is a {node.type}; edgekd runs float, uint8 and int8")
    quantized = node.type != "tensor(float)" and f"{role}_scale" in metadata
    return TensorInfo(
        name=node.name,
        shape=tuple(node.shape[1:]),
        dtype=np.dtype(DTYPES[node.type]),
        scale=float(metadata[f"{role}_scale"]) if quantized else None,
        zero_point=int(metadata[f"{role}_zero_point"]) if quantized else None,
    )
