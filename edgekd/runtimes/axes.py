"""Reads from a TFLite file's metadata the order of axes of its inputs and outputs, for the runners."""

import json

from ai_edge_litert import schema_py_generated as schema

Axes = tuple[int, ...]


def stored_axes(content: bytes, role: str, ranks: list[int]) -> list[Axes]:
    """Return torch's axes of each input or output in the file's order; the batch is not counted.

    Without metadata, images have channels last and other tensors have torch's order.

    Args:
        content: the bytes of the file.
        role: "input" or "output".
        ranks: the number of axes of each tensor, without the batch.
    """
    model = schema.Model.GetRootAs(content, 0)
    axes_by_name: dict[str, Axes] = {}
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        name = entry.Name().decode()
        if name.endswith("_axes"):
            text = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
            axes_by_name[name.removesuffix("_axes")] = tuple(json.loads(text))
    defaults = [(1, 2, 0) if rank == 3 else tuple(range(rank)) for rank in ranks]
    return [axes_by_name.get(f"{role}_{i}" if i else role, axes) for i, axes in enumerate(defaults)]
