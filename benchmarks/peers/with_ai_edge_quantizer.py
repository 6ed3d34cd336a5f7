"""ai-edge-quantizer on the float TFLite file that litert-torch writes: static int8, its min-max recipe."""

import litert_torch
import numpy as np
from ai_edge_litert.interpreter import Interpreter
from ai_edge_quantizer import quantizer, recipe

from benchmarks.peers.folding import fold
from benchmarks.peers.job import Conversion, Job

SIGNATURE = "serving_default"


def convert(job: Job) -> Conversion:
    """Convert in float, calibrate, quantise. Images go in with channels last, so that no transpose is written."""
    model, example, x = fold(job.student()), job.example, job.calibration
    float_file, file = job.out / "float.tflite", job.out / "model.tflite"
    with job.clock.converting():
        if x.ndim == 4:
            model, example = litert_torch.to_channel_last_io(model, args=[0]), example.permute(0, 2, 3, 1)
            x = np.ascontiguousarray(np.moveaxis(x, 1, -1))
        litert_torch.convert(model.eval(), (example,)).export(str(float_file))
        [name] = Interpreter(str(float_file)).get_signature_list()[SIGNATURE]["inputs"]
        quantiser = quantizer.Quantizer(str(float_file), recipe.static_wi8_ai8())
        samples = [{name: x[index : index + 1]} for index in range(len(x))]
        ranges = quantiser.calibrate({SIGNATURE: samples}, num_threads=1)
        quantiser.quantize(ranges).export_model(str(file), overwrite=True)
    return Conversion(file, None, "has no simulation")
