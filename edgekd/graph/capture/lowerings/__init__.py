"""The lowerings of torch's operators to the graph's; each family has a file that ends in its table."""

from edgekd.graph.capture.lowerings import (
    attention,
    elementwise,
    embedding,
    movement,
    normalisation,
    pooling,
    recurrent,
    resize,
    unary,
    weighted,
)
from edgekd.graph.capture.reader import Lowering

FAMILIES = (
    weighted, elementwise, unary, pooling, movement, attention, normalisation, embedding, recurrent, resize,
)  # fmt: skip

LOWERINGS: dict[str, Lowering] = {
    **{kind: lower for family in FAMILIES for kind, lower in family.LOWERINGS.items()},
    **movement.IDENTITIES,
}
