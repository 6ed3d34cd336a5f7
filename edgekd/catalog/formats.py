"""The table of file formats, one row each, for config, check, export, profile, report and doctor.

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
        title: the official name of the format.
        module: the module with `write(graph, path, labels, preprocessing, input_dtype, decoding, kernels) -> Path`, and
            `serialize`, which takes the same arguments except the path; `kernels` is the kernel set that the student
            was trained to, for formats whose files can round in several ways.
        kernels: the kernel set whose rounding a student is trained to if `quantize.kernels` is "auto".
        runtime: the name of the runtime that times its files on the host.
        int8_file: the description of its int8 file in the report's list of files.
        distribution: the name on the package index of the package that writes it, or "" where edgekd alone does.
        package: the name by which that package is imported.
        int8_only: whether it has no float files, so that the ledger and the limits never go by it.
        firmware: whether its files are C that an emulated microcontroller can run.
        companions: the descriptions of the files beside its int8 file, keyed by their suffixes.
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
"""The formats in the report's order. The limits apply to the first one that is exported."""


EXCHANGED = tuple(name for name, row in FORMATS.items() if not row.int8_only)
"""The formats that hold any network, for programs to read; the others are for devices."""


def format_module(name: str) -> Any:
    """Import the module that writes a format."""
    return importlib.import_module(FORMATS[name].module)


def judged_format(formats: Collection[str]) -> str:
    """Return the format whose int8 file is in the ledger and is compared with the limits."""
    return next(name for name, row in FORMATS.items() if name in formats and not row.int8_only)


def kernels_for(setting: "Kernels | Literal['auto']", formats: tuple[str, ...]) -> "Kernels":
    """Return the kernel set that a student is trained to: the setting's, or with "auto" that of the first format."""
    return FORMATS[formats[0]].kernels if setting == "auto" else setting
