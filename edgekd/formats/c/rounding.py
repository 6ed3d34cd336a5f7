"""The two roundings that the C kernels have, as constants: TFLite Micro's in fixed point, and XNNPACK's in float32."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from edgekd.formats.c.functions import literal
from edgekd.graph.operators.arithmetic import fixed_point, multiplier
from edgekd.graph.operators.weighted import ratio
from edgekd.graph.structure import Array, Mode, Quantization, Weighted


@dataclass(frozen=True)
class Channels:
    """Attributes:
    rows: (channels, fields) of 4 bytes each: the bias, and what takes a sum to a code.
    words: each row as C has it.
    """

    rows: Array
    words: Sequence[str]


@dataclass(frozen=True)
class Rounding:
    """Attributes:
    name: of the kernels, as the integer reference knows them, and of the file of C functions.
    """

    name: Literal["tflm", "xnnpack"]

    def channels(self, op: Weighted, source: Quantization, output: Quantization, bias: Array) -> Channels:
        """For each output channel of an operator with weights."""
        if self.name == "tflm":
            mantissa, exponent = fixed_point(ratio(op, source, output))
            rows = np.stack([bias, mantissa, exponent], 1).astype(np.int32)
            return Channels(rows, [f"{{{', '.join(map(str, row))}}}" for row in rows.tolist()])
        factors = multiplier(op, source, output)
        words = [f"{{{b}, {literal(f)}}}" for b, f in zip(bias.tolist(), factors, strict=True)]
        return Channels(np.stack([bias.astype(np.int32), factors.astype(np.float32).view(np.int32)], 1), words)


def rounding_for(kernels: Mode) -> Rounding:
    """The rounding that a student was trained to, as far as there are C kernels; else TFLite Micro's."""
    return Rounding("xnnpack" if kernels == "xnnpack" else "tflm")
