"""Write functions of one code as lookups in tables of 256 codes, computed by the integer reference."""

import numpy as np

from edgekd.formats.c.functions import Kernel
from edgekd.formats.c.source import CSource, Writer
from edgekd.graph.ops import Unary
from edgekd.graph.reference import REFERENCE
from edgekd.graph.structure import QMAX, QMIN, Operator


def write_table(source: CSource, op: Operator) -> None:
    """Write an operator whose output is a function of one code, in any layout of its input."""
    codes = np.arange(QMIN, QMAX + 1).astype(np.int8)
    table = REFERENCE[type(op)](op, source.graph, [codes for _ in op.inputs], source.rounding.name)
    view = source.first_view(op.inputs[0])
    output = source.declare(op.output, view.layout)
    kernel = Kernel("look_up", {"COUNT": output.buffer.size})
    source.call(kernel, [view], output, [source.constants.array("int8_t", table)], in_place=True)


WRITERS: dict[type[Operator], Writer] = {Unary: write_table}
