"""Which of torch's axes each stored axis of a TFLite file's inputs and outputs is; the file's metadata says so."""

import json

from ai_edge_litert import schema_py_generated as schema

Axes = tuple[int, ...]


def stored_axes(content: bytes, role: str, ranks: list[int]) -> list[Axes]:
    """For each "input" or "output" of a file, its axes in the file's order; the batch is not counted.

    A file that says nothing has images channels last and all else as torch has it.

    Args:
        ranks: how many axes each has, without the batch.
    """
    model = schema.Model.GetRootAs(content, 0)
    stored: dict[str, Axes] = {}
    for i in range(model.MetadataLength()):
        entry = model.Metadata(i)
        name = entry.Name().decode()
        if name.endswith("_axes"):
            text = model.Buffers(entry.Buffer()).DataAsNumpy().tobytes()
            stored[name.removesuffix("_axes")] = tuple(json.loads(text))
    usual = [(1, 2, 0) if rank == 3 else tuple(range(rank)) for rank in ranks]
    return [stored.get(f"{role}_{i}" if i else role, axes) for i, axes in enumerate(usual)]
