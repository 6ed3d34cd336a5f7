"""Write bilinear resizing as a call of a C kernel with tables of positions and weights."""

import numpy as np

from edgekd.formats.c.functions import Kernel
from edgekd.formats.c.source import CSource, Writer
from edgekd.formats.layout import IMAGE, Layout
from edgekd.graph.operators.resize import taps
from edgekd.graph.ops import Resize
from edgekd.graph.structure import Operator


def _write_resize(source: CSource, op: Resize) -> None:
    image = source.read(op.inputs[0], IMAGE)
    channels, *before = source.shape(op.inputs[0])
    after = source.shape(op.output)[1:]
    output = source.declare(op.output, Layout.of(source.shape(op.output), IMAGE))
    constants = {"WIDTH": before[1], "CHANNELS": channels, "OUTPUT_HEIGHT": after[0], "OUTPUT_WIDTH": after[1]}
    arrays = [_taps(source, op, *sides) for sides in zip(before, after, strict=True)]
    source.call(Kernel("resize", constants), [image], output, arrays)


def _taps(source: CSource, op: Resize, before: int, after: int) -> str:
    """Return the name of the table of positions and weights of one axis."""
    table = taps(before, after, op.align_corners, source.rounding.name)
    rows = np.stack([table.low, table.high, table.low_weight, table.high_weight], 1).astype(np.int32)
    return source.constants.structures("tap_t", rows, [f"{{{', '.join(map(str, row))}}}" for row in rows.tolist()])


WRITERS: dict[type[Operator], Writer] = {Resize: _write_resize}
