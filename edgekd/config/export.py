"""The files that are written."""

from typing import Literal

from pydantic import Field

from edgekd.config.base import FormatName, Settings


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
