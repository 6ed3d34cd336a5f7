"""The table of runtimes that run files, one row each, and the rounding rules of their kernels.

Config, check, verify, profile, report and doctor use the rows and know no runtime by name. A new runtime is a module in
`edgekd/runtimes/` and a row here.
"""

import importlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.catalog.formats import FORMATS
from edgekd.errors import MissingExtraError

if TYPE_CHECKING:
    from edgekd.graph.structure import Mode


@dataclass(frozen=True)
class Rounding:
    """The rounding rule of a kernel set, in words.

    Attributes:
        title: the official name of the kernel set.
        rule: how it accumulates and rounds.
    """

    title: str
    rule: str


ROUNDINGS: "dict[Mode, Rounding]" = {
    "xnnpack": Rounding("XNNPACK", "integer accumulation, float32 rescaling half to even, fixed-point ADD"),
    "tflm": Rounding("TFLite Micro", "integer accumulation, fixed-point rescaling with gemmlowp's two roundings"),
    "litert-reference": Rounding(
        "LiteRT's reference kernels", "as tflm, but for linear layers, which round once, half away from zero"
    ),
    "onnxruntime": Rounding(
        "onnxruntime",
        "integer accumulation, float32 rescaling half to even, ADD by float32 fused multiply-adds (x86)",
    ),
}
"""The rounding of each mode of the integer reference."""


@dataclass(frozen=True)
class Runtime:
    """One runtime; its name in the table is its id in configs and targets.

    Attributes:
        title: the official name of the runtime.
        format: the name of the format of its files.
        opens: "module:callable", `(path, threads) -> runner`; edgekd/runtimes/tensors.py defines a runner.
        kernels: the mode of the integer reference that its int8 outputs are compared with, bit for bit.
        package: the name by which its package is imported.
        distribution: the name of that package on the package index.
        on_device: how to time a file on a device with this runtime; `{file}` is the file's name.
        extra: edgekd's extra that installs it; "" where edgekd always needs it.
    """

    title: str
    format: str
    opens: str
    kernels: "Mode"
    package: str
    distribution: str
    on_device: str
    extra: str = ""


_BENCHMARK = "copy {file} there and run LiteRT's benchmark_model --graph={file} --num_threads=1"

RUNTIMES = {
    "litert": Runtime(
        "LiteRT",
        "tflite",
        "edgekd.runtimes.litert:LiteRTRunner",
        kernels="xnnpack",
        package="ai_edge_litert.interpreter",
        distribution="ai-edge-litert",
        on_device=_BENCHMARK,
    ),
    "onnxruntime": Runtime(
        "onnxruntime",
        "onnx",
        "edgekd.runtimes.onnxruntime:OnnxRuntimeRunner",
        kernels="onnxruntime",
        package="onnxruntime",
        distribution="onnxruntime",
        on_device="copy {file} there and time it under onnxruntime",
    ),
    "tflite-micro": Runtime(
        "TFLite Micro",
        "tflite",
        "edgekd.runtimes.tflm:TFLMRunner",
        kernels="tflm",
        package="tflite_micro",
        distribution="tflite-micro",
        on_device="time one inference of {file} in your firmware under TFLite Micro",
        extra="tflm",
    ),
    "litert-reference": Runtime(
        "LiteRT's reference kernels",
        "tflite",
        "edgekd.runtimes.litert:reference",
        kernels="litert-reference",
        package="ai_edge_litert.interpreter",
        distribution="ai-edge-litert",
        on_device=_BENCHMARK,
    ),
}


def require(name: str) -> Runtime:
    """Return the row of a runtime, or raise a MissingExtraError with the command to type if it is not installed."""
    runtime = RUNTIMES[name]
    if importlib.util.find_spec(runtime.package.partition(".")[0]) is None:
        raise MissingExtraError(f"{runtime.title} is not installed", f"pip install 'edgekd[{runtime.extra}]'")
    return runtime


def open_file(opens: str, path: Path, threads: int = 1) -> Any:
    """Load a file with the runtime whose row has this `opens`."""
    module, _, attribute = opens.partition(":")
    return getattr(importlib.import_module(module), attribute)(path, threads)


def host_runtime(format_name: str) -> Runtime:
    """Return the runtime that times a format's files on the host."""
    return RUNTIMES[FORMATS[format_name].runtime]
