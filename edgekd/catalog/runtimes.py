"""The table of runtimes that run files, one row each, and the rounding rules of their kernels.

Config, check, verify, profile, report and doctor use the rows and know no runtime by name. A new runtime is a module in
`edgekd/runtimes/` and a row here.
"""

import importlib
import importlib.util
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.catalog.formats import FORMATS
from edgekd.errors import MissingExtraError

if TYPE_CHECKING:
    from edgekd.graph.structure import Kernels, Mode


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
        distribution: the name of that package on the package index, or "" where edgekd alone is enough.
        on_device: how to time a file on a device with this runtime; `{file}` is the file's name.
        extra: edgekd's extra that installs it; "" where edgekd always needs it.
        roundings: the kernels that its files have a choice of; one that a student is trained to takes the place of
            `kernels` where it is among them.
        needs: "module:callable" that raises MissingExtraError where something is missing that is no Python package.
    """

    title: str
    format: str
    opens: str
    kernels: "Mode"
    package: str
    distribution: str
    on_device: str
    extra: str = ""
    roundings: "tuple[Kernels, ...]" = ()
    needs: str = ""

    def trained_to(self, kernels: "Kernels") -> "Runtime":
        """The runtime of files for a student that is trained to these kernels."""
        return replace(self, kernels=kernels) if kernels in self.roundings else self


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
    "c": Runtime(
        "C on this host",
        "c",
        "edgekd.runtimes.c:CRunner",
        kernels="tflm",
        package="edgekd.runtimes.c",
        distribution="",
        on_device="compile {file} into your firmware and time one call of its invoke function",
        roundings=("tflm", "xnnpack"),
        needs="edgekd.runtimes.c:compiler",
    ),
}


def require(name: str) -> Runtime:
    """Return the row of a runtime, or raise a MissingExtraError with the command to type if it is not installed."""
    runtime = RUNTIMES[name]
    if importlib.util.find_spec(runtime.package.partition(".")[0]) is None:
        raise MissingExtraError(f"{runtime.title} is not installed", f"pip install 'edgekd[{runtime.extra}]'")
    if runtime.needs:
        _attribute(runtime.needs)()
    return runtime


def require_for(names: Iterable[str], formats: Collection[str]) -> dict[str, Runtime]:
    """Those of the named runtimes that run files of these formats; MissingExtraError where one is not installed."""
    return {name: require(name) for name in names if RUNTIMES[name].format in formats}


def open_file(opens: str, path: Path, threads: int = 1) -> Any:
    """Load a file with the runtime whose row has this `opens`."""
    return _attribute(opens)(path, threads)


def _attribute(text: str) -> Any:
    """Import what "module:attribute" names."""
    module, _, attribute = text.partition(":")
    return getattr(importlib.import_module(module), attribute)


def host_runtime(format_name: str) -> Runtime:
    """Return the runtime that times a format's files on the host."""
    return RUNTIMES[FORMATS[format_name].runtime]
