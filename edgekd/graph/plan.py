"""Where each tensor lies in memory while the graph runs: the arena and its peak, known before anything is flashed.

Tensors live from the operator that makes them to the last one that reads them, and are placed largest first at the
lowest free offset (greedy by size; Pisarchyk and Lee, 2020), as TFLite Micro's memory planner does.
"""

from dataclasses import dataclass

from edgekd.graph.structure import Graph, Operator

ALIGNMENT = 16
"""Bytes; TFLite Micro's buffer alignment."""


@dataclass(frozen=True)
class Lifetime:
    """A buffer's bytes, and the first and last operator (by index; -1 is before all) at which it must be there."""

    name: str
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class Placement:
    """Offsets in bytes by buffer name, and the arena's size."""

    offsets: dict[str, int]
    arena_bytes: int


def lifetimes(graph: Graph, bytes_per_element: int = 1, explicit_padding: bool = True) -> list[Lifetime]:
    """The buffers of a run with batch 1.

    Args:
        explicit_padding: count the padded copy of an input (or uncut output) where TFLite has no name for a padding.
    """
    owner: dict[str, str] = {}
    for op in graph.operators:
        if op.view:
            owner[op.output] = owner.get(op.inputs[0], op.inputs[0])
    first, last = dict.fromkeys(graph.inputs, -1), dict.fromkeys(graph.inputs, -1)
    beside: list[Lifetime] = []
    for i, op in enumerate(graph.operators):
        if not op.inputs:  # a constant stays in the file
            continue
        first.setdefault(owner.get(op.output, op.output), i)
        for name in (*op.inputs, op.output):
            last[owner.get(name, name)] = i
        if explicit_padding and (size := op.copied_elements(graph.tensors)):
            size *= _width(graph, op.output, bytes_per_element)
            beside.append(Lifetime(f"{op.name} (padded input)", size, i, i))
        if size := op.scratch_bytes(graph.tensors):
            beside.append(Lifetime(f"{op.name} (scratch)", size, i, i))
    for name in graph.outputs:
        last[owner.get(name, name)] = len(graph.operators)
    sizes = {n: graph.tensors[n].elements * _width(graph, n, bytes_per_element) for n in first}
    own = [Lifetime(n, sizes[n], first[n], last[n]) for n in first]
    return own + beside


def place(buffers: list[Lifetime]) -> Placement:
    """Offsets such that no two buffers that live at once overlap."""
    placed: list[tuple[int, Lifetime]] = []
    for buffer in sorted(buffers, key=lambda b: (-b.size, b.first, b.name)):
        offset = 0
        for start, other in sorted(placed, key=lambda p: p[0]):
            if other.last < buffer.first or buffer.last < other.first:
                continue
            if offset + buffer.size <= start:
                break
            offset = max(offset, _aligned(start + other.size))
        placed.append((offset, buffer))
    arena = max((offset + buffer.size for offset, buffer in placed), default=0)
    return Placement({buffer.name: offset for offset, buffer in placed}, _aligned(arena))


def peak_ram_bytes(graph: Graph, bytes_per_element: int = 1) -> int:
    """The arena that the graph's activations need; weights stay in flash, and the runtime's own needs come on top."""
    return place(lifetimes(graph, bytes_per_element)).arena_bytes


def peak_operator(graph: Graph, bytes_per_element: int = 1) -> Operator:
    """The operator at which the buffers that must be there at once are largest; the first of several."""
    buffers = lifetimes(graph, bytes_per_element)
    live = [sum(b.size for b in buffers if b.first <= index <= b.last) for index in range(len(graph.operators))]
    return graph.operators[live.index(max(live))]


def _width(graph: Graph, tensor: str, bytes_per_element: int) -> int:
    """Real values in float islands, and indices, take four bytes."""
    found = graph.tensors[tensor]
    return 4 if graph.quantized and found.quantization is None else bytes_per_element * found.bits // 8


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
