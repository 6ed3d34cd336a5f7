"""NNCF: quantised in torch, trained there or not, written as ONNX.

Its traps, each of which costs accuracy or speed where it is left alone: activations before depthwise convolutions are
per channel, which onnxruntime has no kernel for; batch norm stays behind the integer convolution, which then runs in
float; weights stay in float in the written file, so onnxruntime's basic optimisations fold them to int8 there.
Min-max ranges and no bias correction are not its defaults: they were better on the students' validation parts.
"""

import nncf
import onnxruntime
import torch
from nncf.quantization.advanced_parameters import (
    AdvancedQuantizationParameters,
    OverflowFix,
    QuantizationParameters,
)
from nncf.quantization.range_estimator import RangeEstimatorParametersSet
from nncf.torch.extensions import force_build_cpu_extensions

from benchmarks.peers.folding import fold
from benchmarks.peers.job import Conversion, Job, in_torch
from benchmarks.peers.training import train

OPSET = 17  # as edgekd's files


def convert(job: Job) -> Conversion:
    """Quantise on the calibration samples, train in "qat", strip, write."""
    force_build_cpu_extensions()  # minutes, once on a machine
    batches = list(torch.from_numpy(job.calibration).split(64))
    settings = AdvancedQuantizationParameters(
        # Half ranges are for CPUs whose int8 products saturate; the comparison lets onnxruntime avoid that by itself.
        overflow_fix=OverflowFix.DISABLE,
        batchwise_statistics=True,
        disable_bias_correction=True,
        activations_range_estimator_params=RangeEstimatorParametersSet.MINMAX,
        activations_quantization_params=QuantizationParameters(per_channel=False),
    )
    with job.clock.converting():
        model = nncf.quantize(
            fold(job.student()), nncf.Dataset(batches), preset=nncf.QuantizationPreset.MIXED,
            target_device=nncf.TargetDevice.CPU, subset_size=len(batches), advanced_parameters=settings,
        )  # fmt: skip
    if job.mode == "qat":
        train(job, model)
    model.eval()
    float_file, file = job.out / "written.onnx", job.out / "model.onnx"
    with job.clock.converting():
        exported_model = nncf.strip(model, example_input=job.example)
        torch.onnx.export(
            exported_model, (job.example,), float_file, dynamo=False, opset_version=OPSET, input_names=["input"]
        )
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(file)
        onnxruntime.InferenceSession(float_file, options, providers=["CPUExecutionProvider"])
    note = f"simulated by its fake-quantised network; {float_file.stat().st_size:,} B before weights are folded"
    return Conversion(file, in_torch(model), note)
