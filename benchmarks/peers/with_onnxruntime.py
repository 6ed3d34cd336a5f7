"""onnxruntime's static quantiser on the float ONNX file that edgekd writes: QDQ, per channel, min-max calibration.

uint8 activations and int8 weights are what its kernels run fastest on x86.
"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

from benchmarks.peers.job import Conversion, Job
from benchmarks.peers.with_edgekd import write_float


class Samples(CalibrationDataReader):  # type: ignore[misc]
    """The calibration samples, one by one, by the name of the file's input."""

    def __init__(self, x: np.ndarray, name: str) -> None:
        self.feeds = iter([{name: x[index : index + 1]} for index in range(len(x))])

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)


def convert(job: Job) -> Conversion:
    """Pre-process, calibrate and quantise; the simulation is the file itself with every optimisation off."""
    plain, prepared, file = (job.out / f"{name}.onnx" for name in ("float", "prepared", "model"))
    with job.clock.converting():
        write_float(job.student(), job.splits, plain)
        quant_pre_process(plain, prepared)
        name = onnxruntime.InferenceSession(prepared).get_inputs()[0].name
        quantize_static(
            prepared, file, Samples(job.calibration, name), quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )  # fmt: skip
    return Conversion(file, without_fusions(file), "simulated by its own file without fusions: float between Q and DQ")


def without_fusions(file: Path) -> Callable[[np.ndarray], np.ndarray]:
    """Return a QDQ file's function without fusions: operators in float between QuantizeLinear and DequantizeLinear."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return lambda x: np.concatenate([session.run(None, {name: x[i : i + 1]})[0] for i in range(len(x))])
