"""A graph on disk: graph.json for its structure, graph.npz for its weights; no pickle."""

import dataclasses
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.errors import ModelError
from edgekd.graph import ops
from edgekd.graph.structure import Graph, Operator, Quantization, Tensor


def save(graph: Graph, folder: Path) -> None:
    """Write the graph into `folder`, which is created if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {}
    operators = []
    for i, op in enumerate(graph.operators):
        fields = {f.name: getattr(op, f.name) for f in dataclasses.fields(op)}
        for name in (*op.parameters, *op.arrays):
            if fields.get(name) is not None:
                arrays[f"{i}.{name}"] = fields[name]
            fields.pop(name, None)
        operators.append({"type": type(op).__name__, **fields})
    tensors = [dataclasses.asdict(tensor) for tensor in graph.tensors.values()]
    structure = {"inputs": graph.inputs, "outputs": graph.outputs, "tensors": tensors, "operators": operators}
    (folder / "graph.json").write_text(json.dumps(structure, indent=1) + "\n", encoding="utf-8")
    np.savez(folder / "graph.npz", **arrays)


def load(folder: Path) -> Graph:
    """Read the graph that `save` wrote; ModelError where it can't be read."""
    try:
        structure = json.loads((folder / "graph.json").read_text(encoding="utf-8"))
        with np.load(folder / "graph.npz", allow_pickle=False) as arrays:
            operators = tuple(_operator(i, op, arrays) for i, op in enumerate(structure["operators"]))
        tensors = {t["name"]: _tensor(t) for t in structure["tensors"]}
        return Graph(tuple(structure["inputs"]), tuple(structure["outputs"]), tensors, operators)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile) as error:
        raise ModelError(f"{folder} holds no readable graph: {error}", "delete that folder and build again") from error


def _operator(index: int, fields: dict[str, Any], arrays: Any) -> Operator:
    kind = getattr(ops, fields.pop("type"))
    fields = {name: _tuples(value) for name, value in fields.items()}
    names = (name for name in (*kind.parameters, *kind.arrays) if f"{index}.{name}" in arrays)
    operator: Operator = kind(**fields, **{name: arrays[f"{index}.{name}"] for name in names})
    return operator


def _tensor(fields: dict[str, Any]) -> Tensor:
    quantization, fixed = (Quantization(**q) if q else None for q in (fields["quantization"], fields["fixed"]))
    return Tensor(
        fields["name"], tuple(fields["shape"]), quantization, fields["kind"], fixed, fields["like"], fields["bits"]
    )


def _tuples(value: Any) -> Any:
    """The tuples that JSON stored as lists."""
    return tuple(_tuples(v) for v in value) if isinstance(value, list) else value
