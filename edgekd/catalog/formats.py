"""The file formats, one row each, for config, check, export, profile, report and doctor, which know none by name.

A format is a folder in `edgekd/formats/`, whose module has `write` and `serialize`, and a row here. One whose files can
be read has `read` and `expose` too.
"""

import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from edgekd.graph.structure import Kernels


@dataclass(frozen=True)
class Format:
    """One format; its name in the table is the suffix of its files.

    Attributes:
        title: as its makers write it.
        module: has `write(graph, path, labels, preprocessing, input_dtype, decoding, kernels) -> Path` and `serialize`,
            without the path; `kernels` are those that the student was trained to, for formats that have a choice.
        kernels: whose rounding a student for this format is trained to, where `quantize.kernels` does not say.
        runtime: of the runtimes' table, that times its files on the host.
        int8_file: what its int8 file is, in the report's list of files.
        distribution: the package that writing it needs, by its name on the package index; `package`, by its import.
            "" where edgekd alone does.
        int8_only: it has no float files, so that it is never the format that the ledger and the limits go by.
        firmware: its files are C that an emulated microcontroller can run.
        companions: of its int8 file, which is not alone: suffix -> what it is, in the report's list of files.
    """

    title: str
    module: str
    kernels: "Kernels"
    runtime: str
    int8_file: str
    distribution: str
    package: str
    int8_only: bool = False
    firmware: bool = False
    companions: Mapping[str, str] = field(default_factory=dict)


FORMATS = {
    "tflite": Format(
        "TFLite",
        "edgekd.formats.tflite",
        kernels="xnnpack",
        runtime="litert",
        int8_file="int8, for LiteRT and TFLite Micro",
        distribution="flatbuffers",
        package="flatbuffers",
    ),
    "onnx": Format(
        "ONNX",
        "edgekd.formats.onnx",
        kernels="onnxruntime",
        runtime="onnxruntime",
        int8_file="int8 (QDQ, uint8 activations), for onnxruntime",
        distribution="onnx",
        package="onnx",
    ),
    "c": Format(
        "C",
        "edgekd.formats.c",
        kernels="tflm",
        runtime="c",
        int8_file="int8 in C99, for firmware",
        distribution="",
        package="edgekd.formats.c",
        int8_only=True,
        firmware=True,
        companions={"h": "the C file's header: memory, shapes, scales and functions"},
    ),
}
"""In the order in which the report lists their files; the first that is exported is the one that limits are held to."""


EXCHANGED = tuple(name for name, row in FORMATS.items() if not row.int8_only)
"""The formats that hold any network, for programs to read; the others are for devices."""


def format_module(name: str) -> Any:
    """The module that writes a format."""
    return importlib.import_module(FORMATS[name].module)


def judged_format(exported: Collection[str]) -> str:
    """The format whose int8 file stands in the ledger and is held against the limits."""
    return next(name for name, row in FORMATS.items() if name in exported and not row.int8_only)


def kernels_for(setting: "Kernels | Literal['auto']", exported: tuple[str, ...]) -> "Kernels":
    """The kernels that a student is trained to: those of the setting, or with "auto" those of the first format."""
    return FORMATS[exported[0]].kernels if setting == "auto" else setting
