"""The tools by name: the file that calls each, its modes and formats, and the packages behind it. Light to import."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tool:
    """A tool of the comparison.

    Attributes:
        module: the module in this folder with its function `convert(job) -> Conversion`.
        runs: the mode and format of each row.
        packages: the packages whose versions a row names.
        extra: the extra of edgekd that installs them.
        environment: the environment variables of the tool's process.
    """

    module: str
    runs: tuple[tuple[str, str], ...]
    packages: tuple[str, ...] = ()
    extra: str = "peers"
    environment: dict[str, str] = field(default_factory=dict)


NNCF_ENVIRONMENT = {"NNCF_CI": "1", "NNCF_EXTENSION_LOAD_TIMEOUT": "0"}
"""Without telemetry, and without waiting for another process's compiler."""

TOOLS = {
    "edgekd": Tool("with_edgekd", (("qat", "tflite"), ("ptq", "tflite"), ("qat", "onnx"), ("ptq", "onnx"))),
    "litert-torch": Tool("with_litert_torch", (("qat", "tflite"), ("ptq", "tflite")), ("litert-torch", "torchao")),
    "ai-edge-quantizer": Tool("with_ai_edge_quantizer", (("ptq", "tflite"),), ("ai-edge-quantizer", "litert-torch")),
    "tensorflow": Tool("with_tensorflow", (("ptq", "tflite"),), ("tensorflow-cpu", "keras"), extra="tensorflow"),
    "nncf": Tool("with_nncf", (("qat", "onnx"), ("ptq", "onnx")), ("nncf",), environment=NNCF_ENVIRONMENT),
    "onnxruntime": Tool("with_onnxruntime", (("ptq", "onnx"),)),
}
