"""The tools by name: the file that calls each, its modes and formats, and the packages behind it. Light to import."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Tool:
    """Attributes:
    module: of this folder, with a function `convert(job) -> Converted`.
    runs: (mode, format) of each row.
    packages: whose versions a row names.
    extra: of edgekd, that brings them.
    environment: of the tool's process.
    """

    module: str
    runs: tuple[tuple[str, str], ...]
    packages: tuple[str, ...] = ()
    extra: str = "peers"
    environment: dict[str, str] = field(default_factory=dict)


NNCF_ENVIRONMENT = {"NNCF_CI": "1", "NNCF_EXTENSION_LOAD_TIMEOUT": "0"}
"""It sends no telemetry then, and does not wait for another process's compiler."""

TOOLS = {
    "edgekd": Tool("with_edgekd", (("qat", "tflite"), ("ptq", "tflite"), ("qat", "onnx"), ("ptq", "onnx"))),
    "litert-torch": Tool("with_litert_torch", (("qat", "tflite"), ("ptq", "tflite")), ("litert-torch", "torchao")),
    "ai-edge-quantizer": Tool("with_ai_edge_quantizer", (("ptq", "tflite"),), ("ai-edge-quantizer", "litert-torch")),
    "tensorflow": Tool("with_tensorflow", (("ptq", "tflite"),), ("tensorflow-cpu", "keras"), extra="tensorflow"),
    "nncf": Tool("with_nncf", (("qat", "onnx"), ("ptq", "onnx")), ("nncf",), environment=NNCF_ENVIRONMENT),
    "onnxruntime": Tool("with_onnxruntime", (("ptq", "onnx"),)),
}
