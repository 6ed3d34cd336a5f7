"""Writes TFLite's own metadata, from which LiteRT's Task and Support libraries read a file's inputs and labels.

It is a second flatbuffer ("M001") in the file's metadata table, after metadata_schema.fbs of tflite-support; the labels
are a ZIP archive appended to the model. No package that we can depend on has that schema, and few of its tables are
needed.
"""

import io
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np

from edgekd.formats.metadata import Preprocessing, roles
from edgekd.graph.structure import Graph

NAME = "TFLITE_METADATA"
IDENTIFIER = b"M001"
LABELS = "labels.txt"
PARSER = "1.0.0"
"""The oldest version of the parser that reads all these fields."""

FEATURE, IMAGE = 1, 2  # ContentProperties
NORMALIZATION = 1  # ProcessUnitOptions
RGB, GRAYSCALE = 1, 2  # ColorSpaceType
AXIS_LABELS = 2  # AssociatedFileType
ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed date for the ZIP's entries, so that the bytes depend on the labels alone

Table = Mapping[int, Any]
"""The fields of a table by slot: a text, a table, a list of texts, tables or floats, or a byte as an int."""


def task_metadata(graph: Graph, labels: Sequence[str], preprocessing: Preprocessing | None) -> bytes:
    """Return the metadata flatbuffer; mean and std are in units of pixels, as the Task library expects."""
    inputs = [_input(graph, name, role, preprocessing) for role, name in roles("input", graph.inputs)]
    outputs = [{0: role, **_label_fields(labels)} for role, _ in roles("output", graph.outputs)]
    model = {0: "edgekd", 3: [{2: inputs, 3: outputs}], 7: PARSER}
    builder = flatbuffers.Builder(256)
    builder.Finish(_table_offset(builder, model), file_identifier=IDENTIFIER)
    return bytes(builder.Output())


def with_labels(file: bytes, labels: Sequence[str]) -> bytes:
    """Append the labels, one a line, as a ZIP archive, which readers of the model alone ignore."""
    if not labels:
        return file
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zip_file:
        entry = zipfile.ZipInfo(LABELS, ZIP_EPOCH)
        zip_file.writestr(entry, "".join(f"{label}\n" for label in labels))
    return file + archive.getvalue()


def _input(graph: Graph, name: str, role: str, preprocessing: Preprocessing | None) -> Table:
    tensor = graph.tensors[name]
    if preprocessing is None or tensor.kind == "index":
        return {0: role, 3: {0: FEATURE, 1: {}}}
    mean, std = ([v / preprocessing.scale for v in values] for values in (preprocessing.mean, preprocessing.std))
    if len(set(mean)) == len(set(std)) == 1:
        mean, std = mean[:1], std[:1]
    pixels = preprocessing.scale != 1.0 and len(tensor.shape) == 3 and tensor.shape[0] in (1, 3)
    color = {0: RGB if tensor.shape[0] == 3 else GRAYSCALE}
    content = {0: IMAGE, 1: color} if pixels else {0: FEATURE, 1: {}}
    return {0: role, 3: content, 4: [{0: NORMALIZATION, 1: {0: mean, 1: std}}]}


def _label_fields(labels: Sequence[str]) -> Table:
    file = {0: LABELS, 1: "the classes, in the order of the scores", 2: AXIS_LABELS}
    return {3: {0: FEATURE, 1: {}}, 6: [file]} if labels else {}


def _table_offset(builder: Any, table: Table) -> int:
    """Write a table, after all that it points to, and return its offset."""
    offsets = {slot: _offset(builder, value) for slot, value in table.items() if not isinstance(value, int)}
    builder.StartObject(max(table, default=-1) + 1)
    for slot, value in table.items():
        if isinstance(value, int):
            builder.PrependUint8Slot(slot, value, 0)
        else:
            builder.PrependUOffsetTRelativeSlot(slot, offsets[slot], 0)
    return int(builder.EndObject())


def _offset(builder: Any, value: Any) -> int:
    if isinstance(value, str):
        return int(builder.CreateString(value))
    if isinstance(value, Mapping):
        return _table_offset(builder, value)
    if value and isinstance(value[0], float):
        return int(builder.CreateNumpyVector(np.array(value, np.float32)))
    items = [_offset(builder, item) for item in value]
    builder.StartVector(4, len(items), 4)
    for item in reversed(items):
        builder.PrependUOffsetTRelative(item)
    return int(builder.EndVector())
