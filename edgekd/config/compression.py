"""Compression: pruning and quantising."""

from typing import Literal

from pydantic import Field, PositiveInt

from edgekd.config.base import Part
from edgekd.config.training import Training


class Prune(Training, Part):
    """Attributes:
    criterion: a criterion of the catalog, or "package.module:function"; "none" leaves the student as it is.
    keep: the share of the cost that remains.
    of: the cost that `keep` counts: the student's MACs or its parameters.
    until: "share" cuts down to `keep`; "limits" cuts until the int8 student fits the target's size and RAM, and not
        beyond.
    per_cost: rank a channel by its score divided by the cost that goes with it, as a knapsack is packed (HALP: Shen et
        al., 2022, arXiv:2110.10811), not by its score alone.
    steps: how many cuts are made; `epochs` of recovery under the teacher follow each.
    channel_multiple: the number of channels that remain is rounded to a multiple of this, which the target chooses for
        its kernels.
    """

    criterion: str = "magnitude"
    keep: float = Field(0.6, gt=0, le=1)
    of: Literal["macs", "parameters"] = "macs"
    until: Literal["share", "limits"] = "share"
    per_cost: bool = False
    steps: PositiveInt = 2
    channel_multiple: PositiveInt = 1
    epochs: PositiveInt = 10
    learning_rate: float = Field(0.02, gt=0)


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
