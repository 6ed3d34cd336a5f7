"""A format for tests that is added by one row: edgekd's own files of a graph, in one zip file."""

import io
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from edgekd.formats.metadata import DType, Preprocessing
from edgekd.graph import files
from edgekd.graph.structure import Graph, Mode


def write(
    graph: Graph,
    path: Path,
    labels: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    input_dtype: DType = "int8",
    decoding: str = "",
    kernels: Mode = "xnnpack",
) -> Path:
    """Write `graph` to `path`."""
    path.write_bytes(serialize(graph, labels, preprocessing, input_dtype, decoding))
    return path


def serialize(
    graph: Graph,
    labels: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    input_dtype: DType = "int8",
    decoding: str = "",
    kernels: Mode = "xnnpack",
) -> bytes:
    """Return the file's bytes."""
    content = io.BytesIO()
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(content, "w") as archive:
        files.save(graph, Path(folder))
        for file in sorted(Path(folder).iterdir()):
            archive.writestr(zipfile.ZipInfo(file.name), file.read_bytes())
    return content.getvalue()
