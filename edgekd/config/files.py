"""The files, their proof and their measurement."""

from typing import Literal

from pydantic import Field, PositiveInt

from edgekd.config.base import FormatName, RuntimeName, Settings


class Export(Settings):
    """Attributes:
    formats: files to write; the first one's kernels are those that the student is trained to.
    input: "raw" lets the int8 files take what the sensor gives (pixels); "normalised" leaves that to the caller.
    input_dtype: of TFLite's int8 file; "uint8" puts a QUANTIZE operator in front, which is exact.
    """

    formats: tuple[FormatName, ...] = Field(("tflite", "onnx"), min_length=1)
    input: Literal["raw", "normalised"] = "raw"
    input_dtype: Literal["int8", "uint8"] = "int8"


class Verify(Settings):
    """Attributes:
    runtimes: that the int8 files are run in, as far as their format is exported; each against its own rounding.
    layer_samples: test samples on which every layer is compared too; 0 compares outputs alone.
    simulation_identical: share of the trained simulation's outputs that must equal the integer reference's.
    simulation_steps: no output of it may be further off than this, in quantisation steps.
    float_identical, float_steps: the same for the runtimes where layers are kept in float, whose sums each of them
        orders in its own way; without such layers no output may differ.
    """

    runtimes: tuple[RuntimeName, ...] = ("litert", "onnxruntime")
    layer_samples: int = Field(64, ge=0)
    simulation_identical: float = Field(0.9999, ge=0, le=1)
    simulation_steps: int = Field(1, ge=0)
    float_identical: float = Field(0.95, ge=0, le=1)
    float_steps: int = Field(3, ge=0)


class Profile(Settings):
    """Attributes:
    rounds: fresh processes for each file; files take turns.
    seconds: measuring time of each process.
    threads: of the runtime.
    """

    rounds: PositiveInt = 5
    seconds: float = Field(0.2, gt=0)
    threads: PositiveInt = 1
