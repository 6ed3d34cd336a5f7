"""Compression: pruning and quantising."""

from typing import Literal

from pydantic import Field, PositiveInt

from edgekd.config.base import Part
from edgekd.config.training import Training


class Prune(Training, Part):
    """Attributes:
    criterion: of the catalog, or "package.module:function"; "none" leaves the student as it is.
    keep: the share that is to remain...
    of: ...of the student's MACs or of its parameters.
    until: "share" stops there; "limits" goes on until the int8 student fits the target's size and RAM, and not beyond.
    per_cost: rank a channel by its score for each of the MACs or parameters (`of`) that go with it, as a knapsack is
        packed (HALP: Shen et al., 2022, arXiv:2110.10811), not by its score alone.
    steps: cuts, each followed by `epochs` of recovery under the teacher.
    channel_multiple: channels that remain are rounded to it; the target says what its kernels like.
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
    kernels: whose rounding the student is calibrated and trained to: "xnnpack" (LiteRT), "tflm" (TFLite Micro) or
        "onnxruntime"; "auto" takes those of the first exported format.
    method: "qat" trains in the deployed arithmetic, from what calibration gives; "ptq" ships that as it is.
    calibration: training samples whose activations set the (first) ranges.
    calibrate: the values that codes cover: "minmax" all, "percentile" all but a few, "mse" for the least squared error.
    percentile: of an activation's values, in percent, lie below its highest code and above its lowest.
    equalise: make channels of consecutive layers equally strong before; the float network computes the same.
    correct_bias: take what rounding adds to a channel on average off its bias.
    baseline: with "qat", also measure what "ptq" would give.
    sensitivity: weigh the noise that each layer's rounding alone makes; it takes as many runs as there are layers.
    float_layers: operators kept in float, by name (edgekd check --layers) or pattern: "head.*".
    int16_layers: operators with 16-bit activations, named in the same way; only TFLite has kernels for them.
    observe: share of the training in which ranges still follow the activations; then they stand still.
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
