"""The files, their verification and their measurement."""

from typing import Literal

from pydantic import Field, PositiveInt

from edgekd.config.base import FormatName, RuntimeName, Settings


class Export(Settings):
    """Attributes:
    formats: the files to write; the student is trained to the kernels of the first, unless `quantize.kernels` says
        otherwise.
    input: "raw" lets the int8 files take what the sensor gives, such as pixels; "normalised" leaves normalisation to
        the caller.
    input_dtype: the input type of TFLite's int8 file; "uint8" puts a QUANTIZE operator in front, which is exact.
    """

    formats: tuple[FormatName, ...] = Field(("tflite", "onnx"), min_length=1)
    input: Literal["raw", "normalised"] = "raw"
    input_dtype: Literal["int8", "uint8"] = "int8"


class Verify(Settings):
    """Attributes:
    runtimes: the runtimes that the int8 files are run in, as far as their format is exported; each is compared with
        the integer reference in its own rounding.
    layer_samples: the number of test samples on which every layer is compared too; 0 compares outputs alone.
    simulation_identical: the share of the trained simulation's outputs that must equal those of the integer reference.
    simulation_steps: the largest difference that an output of the simulation may have, in quantisation steps.
    float_identical: the share of equal outputs where layers are kept in float, whose sums each runtime orders in its
        own way; without such layers no output may differ.
    float_steps: the largest difference of an output there, in quantisation steps.
    """

    runtimes: tuple[RuntimeName, ...] = ("litert", "onnxruntime")
    layer_samples: int = Field(64, ge=0)
    simulation_identical: float = Field(0.9999, ge=0, le=1)
    simulation_steps: int = Field(1, ge=0)
    float_identical: float = Field(0.95, ge=0, le=1)
    float_steps: int = Field(3, ge=0)


class Profile(Settings):
    """Attributes:
    rounds: the number of fresh processes that time each file; files take turns.
    seconds: the measuring time of each process.
    threads: the number of threads of the runtime.
    """

    rounds: PositiveInt = 5
    seconds: float = Field(0.2, gt=0)
    threads: PositiveInt = 1
