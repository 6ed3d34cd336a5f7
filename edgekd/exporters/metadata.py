"""What every written file says about itself: labels, and how inputs become codes and codes become scores."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from edgekd.graph.structure import Graph


@dataclass(frozen=True)
class Preprocessing:
    """input = (raw * scale - mean) / std, per channel; then, in an int8 file, round(input / s) + z."""

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]


def describe(
    graph: Graph, labels: Sequence[str], preprocessing: Preprocessing | None, zero_point_offset: int = 0
) -> dict[str, str]:
    """Metadata by name; the same names in every format, labels and preprocessing as JSON texts.

    Args:
        zero_point_offset: what the format adds to int8 codes: 128 where its activations are uint8.
    """
    found = {"labels": json.dumps(list(labels))} if labels else {}
    if preprocessing is not None:
        found["preprocessing"] = json.dumps(asdict(preprocessing))
    if graph.quantized:
        for role, name in (*roles("input", graph.inputs), *roles("output", graph.outputs)):
            q = graph.tensors[name].quantization
            if q is None:
                continue
            found[f"{role}_scale"] = repr(q.scale)
            found[f"{role}_zero_point"] = str(q.zero_point + zero_point_offset)
    return found


def roles(role: str, tensors: Sequence[str]) -> list[tuple[str, str]]:
    """(role, tensor): "input" for the only or the first one, then "input_1", "input_2"; the names in every format."""
    return [(f"{role}_{i}" if i else role, name) for i, name in enumerate(tensors)]
