"""TensorFlow's converter on the student rebuilt in Keras: full int8 with a representative data set."""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
import torch

from benchmarks.peers.job import Converted, Job
from benchmarks.peers.keras_net import rebuilt

TOLERANCE = 1e-3
"""Of the largest logit: by how much the Keras network may differ from the student."""


def convert(job: Job) -> Converted:
    """The converter calibrates by itself; int8 goes in and comes out."""
    network = rebuilt(job.student(), job.splits.input_shape)
    x = np.ascontiguousarray(np.moveaxis(job.calibration, 1, -1))
    with torch.no_grad():
        wanted = job.student()(torch.from_numpy(job.calibration[:16])).numpy()
    found = np.concatenate([network(x[index : index + 1]) for index in range(len(wanted))])
    if np.abs(found - wanted).max() > TOLERANCE * np.abs(wanted).max():
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
    return Converted(file, None, "has no simulation")
