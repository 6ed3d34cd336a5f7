"""Tests that a file that edgekd does not read is refused in one line that names an operator or tensor and a remedy."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.foreign_files import Code, ForeignFile, options
from support.foreign_networks import SAME, conv, pool, same_scale, single, stack

from edgekd.errors import ModelError, UnsupportedOperatorError
from edgekd.formats.tflite import read

Change = Callable[[ForeignFile], tuple[int, ...]]
TANH = schema.ActivationFunctionType.TANH


def float_network(f: ForeignFile) -> tuple[int, ...]:
    output = f.tensor((1, 4), 0, dtype=np.float32)
    f.operator(Code.RELU, [f.input((1, 4), 0, dtype=np.float32)], output)
    return (output,)


def weights_alone(f: ForeignFile) -> tuple[int, ...]:
    """Add an int8 layer, and a layer of which only the weights are int8."""
    x, y = stack(lambda f, x: conv(f, x, (1, 6, 6, 4)))(f)[0], f.tensor((1, 6, 6, 4), 0, dtype=np.float32)
    f.operator(Code.DEQUANTIZE, [x], y)
    output = f.tensor((1, 7), 0, dtype=np.float32)
    f.operator(Code.FULLY_CONNECTED, [y, f.weights((7, 144))], output, options(schema.FullyConnectedOptionsT))
    return (output,)


def unsigned(f: ForeignFile) -> tuple[int, ...]:
    output = f.tensor((1, 4), 0.05, 128, np.uint8)
    f.operator(Code.RELU, [f.input((1, 4), 0.05, 128, np.uint8)], output)
    return (output,)


def state(f: ForeignFile) -> tuple[int, ...]:
    outputs = stack(lambda f, x: conv(f, x, (1, 6, 6, 4)))(f)
    f.tensors[outputs[0]].isVariable = True
    return outputs


def open_height(f: ForeignFile) -> tuple[int, ...]:
    outputs = stack(lambda f, x: conv(f, x, (1, 6, 6, 4)))(f)
    f.tensors[f.inputs[0]].shapeSignature = np.array((-1, -1, 6, 3), np.int32)
    return outputs


def rescaling_pool(f: ForeignFile) -> tuple[int, ...]:
    outputs = pool(Code.AVERAGE_POOL_2D, (1, 3, 3, 4))(f)
    f.tensors[outputs[0]].quantization.scale = np.array([0.06], np.float32)
    return outputs


def computed_weights(f: ForeignFile) -> tuple[int, ...]:
    output = f.tensor((1, 6, 6, 2), 0.04, 1)
    inputs = [f.input((1, 6, 6, 3)), f.input((1, 1, 1, 3))]
    f.operator(Code.CONV_2D, inputs, output, options(schema.Conv2DOptionsT, strideH=1, strideW=1, padding=SAME))
    return (output,)


def custom(f: ForeignFile) -> tuple[int, ...]:
    return (same_scale(f, Code.CUSTOM, [f.input((1, 6))], (1, 6)),)


REFUSED: dict[str, tuple[Change, str]] = {
    "a float file": (float_network, "computes in float; edgekd reads int8 files"),
    "uint8 as before 2019": (unsigned, "computes on uint8 codes"),
    "int8 weights and real activations": (weights_alone, "has quantized weights and real activations"),
    "an operator without a form": (single(Code.L2_NORMALIZATION, (1, 5, 6, 4), 1 / 128, 0), "L2_NORMALIZATION, which"),
    "a custom operator": (custom, "custom"),
    "a fused activation without a form": (
        stack(lambda f, x: conv(f, x, (1, 6, 6, 4), fusedActivationFunction=TANH)), "has the fused activation TANH"
    ),
    "a fixed batch": (stack(lambda f, x: conv(f, x, (4, 6, 6, 4)), source=(4, 6, 6, 3)), "a batch of 1 or open"),
    "an open height": (open_height, "a batch of 1 or open"),
    "a state": (state, "keeps a state between inferences"),
    "a pool that rescales": (rescaling_pool, "AVERAGE_POOL_2D, which makes t1) has an output on another scale"),
    "a softmax on another scale": (single(Code.SOFTMAX, (1, 5, 6, 4), 1 / 128, -128), "SOFTMAX"),
    "weights that another operator computes": (computed_weights, "has weights that another operator computes"),
    "weights that take nine bits": (
        stack(lambda f, x: conv(f, x, (1, 6, 6, 4), zero_point=90)), "has weights with a zero point"
    ),
    "pixels counted from their corners": (
        single(Code.RESIZE_BILINEAR, (1, 9, 13, 4), 0.05, 3, schema.ResizeBilinearOptionsT()), "RESIZE_BILINEAR"
    ),
}  # fmt: skip


def write_file(change: Change, path: Path, **file_options: Any) -> Path:
    file = ForeignFile()
    path.write_bytes(file.bytes(*change(file), **file_options))
    return path


@pytest.mark.parametrize("case", REFUSED)
def test_what_has_no_form_is_refused_by_name(case: str, tmp_path: Path) -> None:
    change, message = REFUSED[case]
    with pytest.raises(ModelError) as refusal:
        read(write_file(change, tmp_path / "net.tflite"))
    assert message in refusal.value.what and refusal.value.what.startswith("net.tflite: ")
    assert refusal.value.remedy and "\n" not in refusal.value.what and "damaged" not in refusal.value.what


def test_a_second_subgraph_with_operators_is_refused_and_an_empty_one_is_not(tmp_path: Path) -> None:
    network = stack(lambda f, x: conv(f, x, (1, 6, 6, 4)))
    other, file = schema.SubGraphT(), ForeignFile()
    outputs = network(file)
    other.name, other.tensors, other.operators = "train", [], []
    other.inputs = other.outputs = np.zeros(0, np.int32)
    path = tmp_path / "net.tflite"
    path.write_bytes(file.bytes(*outputs, subgraphs=[other]))
    assert read(path).operators
    other.operators = file.operators
    path.write_bytes(file.bytes(*outputs, subgraphs=[other]))
    with pytest.raises(UnsupportedOperatorError, match="subgraph train holds operators"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"TFL3", b"hello, world", bytes(64), b"\x10\0\0\0TFL3" + b"\xff" * 64])
def test_what_is_no_tflite_file_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "net.tflite").write_bytes(content)
    with pytest.raises(ModelError, match=r"net.tflite: it is (no TFLite file|damaged)"):
        read(tmp_path / "net.tflite")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file"):
        read(tmp_path / "net.tflite")
