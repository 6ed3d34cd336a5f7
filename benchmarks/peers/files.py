"""Opens any tool's file the same way: a TFLite file under LiteRT's default kernels, an ONNX file under onnxruntime's.

edgekd's own runners are stricter than a comparison may be: they take no file that a tool wrote in its own manner.
"""

import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

DTYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8, "tensor(int8)": np.int8}
ERRORS_ONLY = 3


@dataclass(frozen=True)
class End:
    """The input or output of a file: the shape of one sample, and the scale of its codes, which is None for float."""

    shape: tuple[int, ...]
    dtype: np.dtype
    scale: float | None
    zero_point: int

    def encode(self, x: np.ndarray) -> np.ndarray:
        """Convert real values to the file's codes; images become channels last if the file has them so."""
        if x.shape[1:] != self.shape and x.ndim > 2:
            x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
        if self.scale is None:
            return x
        limits = np.iinfo(self.dtype)
        return np.clip(np.rint(x / np.float32(self.scale)) + self.zero_point, limits.min, limits.max).astype(self.dtype)

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Convert codes to real values, float32."""
        if self.scale is None:
            return codes
        return (codes.astype(np.float32) - self.zero_point) * np.float32(self.scale)


@dataclass(frozen=True)
class File:
    """A loaded file. `ready` sets one sample, (1, ...), and returns a function that runs it and returns its output."""

    input: End
    output: End
    ready: Callable[[np.ndarray], Callable[[], np.ndarray]]

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Return the outputs (N, classes) of real inputs (N, *input shape), channels first, sample by sample."""
        encoded = self.input.encode(x)
        answers = [self.ready(encoded[index : index + 1])() for index in range(len(encoded))]
        return self.output.decode(np.concatenate(answers))


def open_file(path: Path) -> File:
    """Load a file with one thread."""
    return _tflite(path) if path.suffix == ".tflite" else _onnx(path)


def _tflite(path: Path) -> File:
    interpreter = Interpreter(model_path=str(path), num_threads=1)
    interpreter.allocate_tensors()
    [input_details], [output_details] = interpreter.get_input_details(), interpreter.get_output_details()

    def ready(x: np.ndarray) -> Callable[[], np.ndarray]:
        interpreter.set_tensor(input_details["index"], x)

        def infer() -> np.ndarray:
            interpreter.invoke()
            answer: np.ndarray = interpreter.get_tensor(output_details["index"])
            return answer

        return infer

    return File(_tflite_end(input_details), _tflite_end(output_details), ready)


def _tflite_end(details: dict[str, Any]) -> End:
    scale, zero_point = details["quantization"]
    shape = tuple(int(size) for size in details["shape"][1:])
    return End(shape, np.dtype(details["dtype"]), float(scale) or None, int(zero_point))


def _onnx(path: Path) -> File:
    session = onnxruntime.InferenceSession(path, _options(), providers=["CPUExecutionProvider"])
    [input_details], [output_details] = session.get_inputs(), session.get_outputs()
    metadata = session.get_modelmeta().custom_metadata_map

    def end(node: Any, role: str) -> End:
        dtype = np.dtype(DTYPES[node.type])
        scale = None if dtype.kind == "f" else float(metadata[f"{role}_scale"])
        return End(tuple(node.shape[1:]), dtype, scale, int(metadata.get(f"{role}_zero_point", 0)))

    def ready(x: np.ndarray) -> Callable[[], np.ndarray]:
        feed = {input_details.name: x}
        return lambda: session.run(None, feed)[0]

    return File(end(input_details, "input"), end(output_details, "output"), ready)


def float_operators(path: Path) -> int:
    """Count the operators of a TFLite file that compute in float: those with a float output, except dequantise."""
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes())
    [graph] = model.subgraphs
    count = 0
    for op in graph.operators:
        code = model.operatorCodes[op.opcodeIndex]
        dequantises = max(code.builtinCode, code.deprecatedBuiltinCode) == schema.BuiltinOperator.DEQUANTIZE
        is_float = any(graph.tensors[index].type == schema.TensorType.FLOAT32 for index in op.outputs)
        count += is_float and not dequantises
    return count


def _options() -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = ERRORS_ONLY
    if _products_saturate():
        options.add_session_config_entry("session.x64quantprecision", "1")
    return options


def _products_saturate() -> bool:
    """Whether onnxruntime adds pairs of int8 products in 16 bits by default: on x86 without VNNI."""
    cpuinfo = Path("/proc/cpuinfo")
    return platform.machine() in ("x86_64", "AMD64") and not (cpuinfo.exists() and "vnni" in cpuinfo.read_text())
