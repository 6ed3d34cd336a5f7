"""TensorFlow's converter on the student rebuilt in Keras: full int8 with a representative data set."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
import torch

from benchmarks.peers.job import Conversion, Job
from benchmarks.peers.keras_net import to_keras

TOLERANCE = 1e-3
"""The largest difference of the Keras network from the student, as a share of the largest logit."""


def convert(job: Job) -> Conversion:
    """Convert with int8 inputs and outputs; the converter calibrates by itself."""
    network = to_keras(job.student(), job.splits.input_shape)
    x = np.ascontiguousarray(np.moveaxis(job.calibration, 1, -1))
    with torch.no_grad():
        expected = job.student()(torch.from_numpy(job.calibration[:16])).numpy()
    outputs = np.concatenate([network(x[index : index + 1]) for index in range(len(expected))])
    if np.abs(outputs - expected).max() > TOLERANCE * np.abs(expected).max():
        raise RuntimeError("the network in Keras does not compute what the student computes")

    def samples() -> Iterator[list[np.ndarray]]:
        for index in range(len(x)):
            yield [x[index : index + 1]]

    file = job.out / "model.tflite"
    with job.clock.converting():
        converter = tf.lite.TFLiteConverter.from_keras_model(network)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = samples
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        file.write_bytes(converter.convert())
    return Conversion(file, None, "has no simulation")
