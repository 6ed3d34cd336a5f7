"""Layer norm: onnxruntime's own kernel, on real values between codes."""

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats.onnx.model import OnnxFile, Writer
from edgekd.graph.operators.normalisation import NARROWEST
from edgekd.graph.ops import LayerNorm
from edgekd.graph.structure import Operator


def _write_layer_norm(file: OnnxFile, op: LayerNorm) -> None:
    if file.graph.tensors[op.inputs[0]].quantization is not None and len(op.weight) < NARROWEST:
        raise UnsupportedOperatorError(
            f"layer {op.name} (layer_norm, {op.source}): onnxruntime's kernel for {len(op.weight)} values is not exact "
            "against any reference here",
            f'normalise over {NARROWEST} values or more, or export.formats = ["tflite"]',
        )
    parameters = [file.constant(f"{op.name}/{name}", getattr(op, name)) for name in op.parameters]
    inputs = [file.values(op.inputs[0], op), *parameters]
    file.result(op, "LayerNormalization", inputs, axis=-1, epsilon=op.epsilon)


WRITERS: dict[type[Operator], Writer] = {LayerNorm: _write_layer_norm}
