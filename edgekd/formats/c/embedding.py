"""Write the lookup of a table's rows by indices as a call of a C kernel."""

from edgekd.formats.c.functions import Kernel
from edgekd.formats.c.source import CSource, Writer
from edgekd.graph.ops import Embedding
from edgekd.graph.structure import Operator


def _write_embedding(source: CSource, op: Embedding) -> None:
    tokens = source.first_view(op.inputs[0])
    rows, width = op.weight.shape
    output = source.declare(op.output, tokens.layout.append_axis(width))
    constants = {"COUNT": output.buffer.size // width, "ROWS": rows, "WIDTH": width}
    arrays = [source.constants.array("int8_t", op.weight)]
    source.call(Kernel("embedding", constants), [tokens], output, arrays, checked=True)


WRITERS: dict[type[Operator], Writer] = {Embedding: _write_embedding}
