"""Refuse Quantize and Dequantize, the boundaries of float layers, because the C kernels are for integers."""

from typing import NoReturn

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats.c.source import CSource, Writer
from edgekd.graph.ops import Dequantize, Quantize
from edgekd.graph.structure import Operator


def _refuse(source: CSource, op: Operator) -> NoReturn:
    raise UnsupportedOperatorError(
        f"layer {op.name} ({type(op).__name__}, {op.source}) stands beside layers in float, which C has no kernels for",
        'no quantize.float_layers, or export.formats = ["tflite"]',
    )


WRITERS: dict[type[Operator], Writer] = {Dequantize: _refuse, Quantize: _refuse}
