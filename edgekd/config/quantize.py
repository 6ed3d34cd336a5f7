"""Quantising: calibration, and training in the deployed arithmetic."""

from typing import Literal

from pydantic import Field, PositiveInt

from edgekd.config.training import Training


class Quantize(Training):
    """Attributes:
    kernels: the kernels whose rounding the student is calibrated and trained to: "xnnpack" (LiteRT), "tflm" (TFLite
        Micro) or "onnxruntime"; "auto" takes those of the first exported format.
    method: "qat" trains in the deployed arithmetic, from the calibrated ranges; "ptq" ships the calibrated network.
    calibration: the number of training samples whose activations set the ranges, or their start with "qat".
    calibrate: the values that the codes cover: "minmax" all of them, "percentile" all but a few, "mse" those with the
        least squared error.
    percentile: the percentage of an activation's values that lie below its highest code, and above its lowest.
    equalise: scale the channels of consecutive layers to equal ranges first (cross-layer equalisation); the float
        network computes the same.
    correct_bias: subtract from a channel's bias what rounding adds to the channel on average.
    baseline: with "qat", also measure what "ptq" would give.
    sensitivity: measure the noise that rounding each layer alone makes; this takes as many runs as there are layers.
    float_layers: operators kept in float, by name (edgekd check --layers) or pattern: "head.*".
    int16_layers: operators with 16-bit activations, named in the same way; only TFLite has kernels for them.
    observe: the share of the training in which ranges still follow the activations; then they are fixed.
    """

    kernels: Literal["auto", "xnnpack", "tflm", "onnxruntime"] = "auto"
    method: Literal["qat", "ptq"] = "qat"
    calibration: PositiveInt = 512
    calibrate: Literal["minmax", "percentile", "mse"] = "mse"
    percentile: float = Field(99.999, gt=50, le=100)
    equalise: bool = False
    correct_bias: bool = True
    baseline: bool = True
    sensitivity: bool = False
    float_layers: tuple[str, ...] = ()
    int16_layers: tuple[str, ...] = ()
    observe: float = Field(0.5, ge=0, le=1)
    epochs: PositiveInt = 8
    optimizer: Literal["sgd", "adamw"] = "adamw"
    learning_rate: float = Field(5e-4, gt=0)
    weight_decay: float = Field(0.0, ge=0)
