"""Converts for all runners the graph's codes in torch's order to and from a file's dtype and order."""

import numpy as np

from edgekd.graph.operators.arithmetic import dequantize, quantize
from edgekd.graph.structure import Quantization
from edgekd.runtimes.tensors import TensorInfo

SHIFT = 128
"""The difference between uint8 and int8 codes: uint8 code = int8 code + SHIFT."""


def to_file_codes(codes: np.ndarray, info: TensorInfo, quantization: Quantization | None = None) -> np.ndarray:
    """Convert codes (N, *shape) in torch's order to the dtype and order of a file's input; indices stay as they are.

    Args:
        codes: the codes of one input.
        info: the description of the file's input.
        quantization: the quantization of the codes, for a file that takes real values and quantises them itself.
    """
    if info.axes:
        codes = codes.transpose(0, *(axis + 1 for axis in info.axes))
    if info.dtype == np.uint8:
        return (codes.astype(np.int16) + SHIFT).astype(np.uint8)
    if info.dtype == np.float32 and quantization is not None:
        return dequantize(codes, quantization)
    return np.ascontiguousarray(codes)


def from_file_codes(values: np.ndarray, info: TensorInfo, quantization: Quantization | None = None) -> np.ndarray:
    """Convert values of a file's output to codes (N, *shape) in torch's order.

    Args:
        values: the values of one output.
        info: the description of the file's output.
        quantization: the quantization of the codes, for a file whose outputs are real values.
    """
    if info.axes:
        values = values.transpose(0, *(int(place) + 1 for place in np.argsort(info.axes)))
    if values.dtype == np.float32 and quantization is not None:
        return quantize(values, quantization)
    return (values.astype(np.int16) - SHIFT).astype(np.int8) if values.dtype == np.uint8 else values
