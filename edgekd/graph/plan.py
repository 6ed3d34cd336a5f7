"""Plans the memory of a graph's tensors, which gives the size of the arena before anything is flashed.

Tensors are alive from the operator that computes them to the last one that reads them, and are placed largest first at
the lowest free offset (greedy by size; Pisarchyk and Lee, 2020), as TFLite Micro's memory planner does.
"""

from dataclasses import dataclass

from edgekd.graph.structure import Graph, Operator

ALIGNMENT = 16
"""TFLite Micro's buffer alignment in bytes."""


@dataclass(frozen=True)
class Lifetime:
    """A buffer's size in bytes and the indices of the first and last operator that need it; inputs start at -1."""

    name: str
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Placement:
    """The offset of each buffer in bytes, by its name, and the size of the arena."""

    offsets: dict[str, int]
    arena_bytes: int


def lifetimes(graph: Graph, bytes_per_element: int = 1, explicit_padding: bool = True) -> list[Lifetime]:
    """The buffers of an inference at batch 1, with their lifetimes.

    Args:
        bytes_per_element: of a code of 8 bits; codes of 16 bits take twice as many.
        explicit_padding: count the copy that is needed where TFLite has no name for a padding.
    """
    owner: dict[str, str] = {}
    for op in graph.operators:
        if op.view:
            owner[op.output] = owner.get(op.inputs[0], op.inputs[0])
    first, last = dict.fromkeys(graph.inputs, -1), dict.fromkeys(graph.inputs, -1)
    temporary: list[Lifetime] = []
    for i, op in enumerate(graph.operators):
        if not op.inputs:  # a constant stays in the file
            continue
        first.setdefault(owner.get(op.output, op.output), i)
        for name in (*op.inputs, op.output):
            last[owner.get(name, name)] = i
        if explicit_padding and (size := op.copied_elements(graph.tensors)):
            size *= _width(graph, op.output, bytes_per_element)
            temporary.append(Lifetime(f"{op.name} (padded input)", size, i, i))
        if size := op.scratch_bytes(graph.tensors):
            temporary.append(Lifetime(f"{op.name} (scratch)", size, i, i))
    for name in graph.outputs:
        last[owner.get(name, name)] = len(graph.operators)
    sizes = {n: graph.tensors[n].elements * _width(graph, n, bytes_per_element) for n in first}
    own = [Lifetime(n, sizes[n], first[n], last[n]) for n in first]
    return own + temporary


def place(buffers: list[Lifetime]) -> Placement:
    """Choose offsets at which no two buffers that are alive at once overlap."""
    placements: list[tuple[int, Lifetime]] = []
    for buffer in sorted(buffers, key=lambda b: (-b.size, b.first, b.name)):
        offset = 0
        for start, other in sorted(placements, key=lambda p: p[0]):
            if other.last < buffer.first or buffer.last < other.first:
                continue
            if offset + buffer.size <= start:
                break
            offset = max(offset, _align(start + other.size))
        placements.append((offset, buffer))
    arena = max((offset + buffer.size for offset, buffer in placements), default=0)
    return Placement({buffer.name: offset for offset, buffer in placements}, _align(arena))


def peak_ram_bytes(graph: Graph, bytes_per_element: int = 1) -> int:
    """The arena's size for the activations alone; weights stay in flash, and the runtime needs memory of its own."""
    return place(lifetimes(graph, bytes_per_element)).arena_bytes


def peak_operator(graph: Graph, bytes_per_element: int = 1) -> Operator:
    """The operator at which the buffers that must be there at once are largest; the first of several."""
    buffers = lifetimes(graph, bytes_per_element)
    live = [sum(b.size for b in buffers if b.first <= index <= b.last) for index in range(len(graph.operators))]
    return graph.operators[live.index(max(live))]


def _width(graph: Graph, tensor: str, bytes_per_element: int) -> int:
    """Bytes of one element; real values in float islands and indices take four."""
    description = graph.tensors[tensor]
    return 4 if graph.quantized and description.quantization is None else bytes_per_element * description.bits // 8


def _align(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
