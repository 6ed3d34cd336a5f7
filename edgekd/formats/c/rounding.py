"""Give the C kernels the constants of their rounding: TFLite Micro's in fixed point, or XNNPACK's in float32."""

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
    """The constants of each output channel of an operator with weights.

    Attributes:
        rows: (channels, fields) of 4 bytes each: the bias, and the factor from a sum to a code.
        words: C initialiser of each row.
    """

    rows: Array
    words: Sequence[str]


@dataclass(frozen=True)
class Rounding:
    """A rounding of the C kernels.

    Attributes:
        name: name of the kernels in the integer reference, and of the file of C functions.
    """

    name: Literal["tflm", "xnnpack"]

    def channels(self, op: Weighted, source: Quantization, output: Quantization, bias: Array) -> Channels:
        """Return the constants of each output channel of an operator with weights."""
        if self.name == "tflm":
            mantissa, exponent = fixed_point(ratio(op, source, output))
            rows = np.stack([bias, mantissa, exponent], 1).astype(np.int32)
            return Channels(rows, [f"{{{', '.join(map(str, row))}}}" for row in rows.tolist()])
        factors = multiplier(op, source, output)
        words = [f"{{{b}, {literal(f)}}}" for b, f in zip(bias.tolist(), factors, strict=True)]
        return Channels(np.stack([bias.astype(np.int32), factors.astype(np.float32).view(np.int32)], 1), words)


def rounding_for(kernels: Mode) -> Rounding:
    """Return the rounding for which a student was trained, or TFLite Micro's where C has no kernels with it."""
    return Rounding("xnnpack" if kernels == "xnnpack" else "tflm")
