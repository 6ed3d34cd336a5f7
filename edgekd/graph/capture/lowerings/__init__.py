"""How each of torch's operators is written as operators of the graph: a file for each family, with its table."""

from edgekd.graph.capture.lowerings import (
    elementwise,
    movement,
    pooling,
    recurrent,
    resize,
    sequence,
    tables,
    weighted,
)
from edgekd.graph.capture.reader import Lowering

FAMILIES = (weighted, elementwise, tables, pooling, movement, sequence, recurrent, resize)

LOWERINGS: dict[str, Lowering] = {
    **{kind: lower for family in FAMILIES for kind, lower in family.LOWERINGS.items()},
    **movement.IDENTITIES,
}
