"""Tests that the graph of a file as other converters write it computes the file's codes in each runtime."""

from pathlib import Path

import numpy as np
import pytest
from support.foreign_files import ForeignFile
from support.foreign_networks import NETWORKS, Build

from edgekd.catalog.formats import format_module
from edgekd.catalog.runtimes import RUNTIMES, Runtime, open_file
from edgekd.formats.tflite import read
from edgekd.graph import reference
from edgekd.graph.ops import Add, Conv2d, Linear, Reshape, Softmax
from edgekd.graph.structure import Array, Graph
from edgekd.pipeline.foreign import random_codes, runtimes_of
from edgekd.runtimes.codes import from_file_codes, to_file_codes

SAMPLES = 6
REFUSED_BY_RUNTIME = {
    (network, runtime)
    for network in ("convolution without a bias", "reshape that says its shape nowhere")
    for runtime in ("litert", "litert-reference")
}
"""LiteRT refuses these files, which TFLite Micro runs."""
DIALECTS = {
    "open batch": {"open_batch": True},
    "old operator codes": {"old_codes": True},
    "constants at the end": {"behind": True},
}


def write_file(build: Build, path: Path, **dialect: bool) -> Path:
    file = ForeignFile(**dialect)
    outputs = build(file)
    path.write_bytes(file.bytes(*outputs))
    return path


def run_codes(runtime: Runtime, path: Path, graph: Graph, codes: tuple[Array, ...]) -> tuple[Array, ...]:
    runner = open_file(runtime.opens, path)
    inputs, outputs = ([graph.tensors[n].quantization for n in names] for names in (graph.inputs, graph.outputs))
    feeds = [to_file_codes(*each) for each in zip(codes, runner.inputs, inputs, strict=True)]
    return tuple(from_file_codes(*each) for each in zip(runner.run_all(*feeds), runner.outputs, outputs, strict=True))


def count_differing(a: tuple[Array, ...], b: tuple[Array, ...]) -> int:
    return sum(int((x != y).sum()) if x.shape == y.shape else x.size for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("network", NETWORKS)
def test_a_foreign_network_is_read_and_written_again_with_the_same_codes(network: str, tmp_path: Path) -> None:
    source = write_file(NETWORKS[network], tmp_path / "source.tflite")
    graph = read(source)
    codes = random_codes(graph, SAMPLES, seed=0)
    rewritten = format_module("tflite").write(graph, tmp_path / "again.tflite")
    for name, runtime in runtimes_of("tflite").items():
        expected = reference.run_all(graph, *codes, kernels=runtime.kernels)
        assert any(len(np.unique(values)) > 2 for values in expected)
        if (network, name) in REFUSED_BY_RUNTIME:
            continue
        actual = run_codes(runtime, source, graph, codes)
        assert count_differing(actual, expected) == 0, name
        assert count_differing(run_codes(runtime, rewritten, graph, codes), actual) == 0, f"{name}, written again"
    onnx = RUNTIMES["onnxruntime"]
    path = format_module("onnx").write(graph, tmp_path / "again.onnx")
    expected = reference.run_all(graph, *codes, kernels=onnx.kernels)
    assert count_differing(run_codes(onnx, path, graph, codes), expected) == 0


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects_of_the_format_say_the_same_network(dialect: str, tmp_path: Path) -> None:
    build = NETWORKS["reshape with an open batch"]
    plain = read(write_file(build, tmp_path / "plain.tflite"))
    source = write_file(build, tmp_path / "dialect.tflite", **DIALECTS[dialect])
    assert source.read_bytes() != (tmp_path / "plain.tflite").read_bytes()
    graph = read(source)
    codes = random_codes(plain, SAMPLES, seed=0)
    expected = reference.run_all(plain, *codes)
    assert count_differing(reference.run_all(graph, *codes), expected) == 0
    assert count_differing(run_codes(RUNTIMES["litert"], source, graph, codes), expected) == 0


def test_options_that_are_missing_have_the_defaults_of_the_schema(tmp_path: Path) -> None:
    def build(file: ForeignFile) -> tuple[int, ...]:
        outputs = NETWORKS["add of an input that is repeated"](file)
        file.operators[0].builtinOptions, file.operators[0].builtinOptionsType = None, 0
        return outputs

    graph = read(write_file(build, tmp_path / "source.tflite"))
    (op,) = graph.operators
    assert isinstance(op, Add) and op.activation == "none"


def test_a_graph_holds_the_very_numbers_of_the_file(tmp_path: Path) -> None:
    file = ForeignFile()
    outputs = NETWORKS["convolution with a scale for each channel"](file)
    path = tmp_path / "source.tflite"
    path.write_bytes(file.bytes(*outputs))
    (op,) = read(path).operators
    assert isinstance(op, Conv2d) and op.weight_scale is not None
    weight, bias = (file.tensors[i] for i in file.operators[0].inputs[1:])
    stored = np.frombuffer(file.buffers[weight.buffer].data, np.int8).reshape(weight.shape)
    assert np.array_equal(op.weight, stored.transpose(0, 3, 1, 2))
    assert np.array_equal(op.weight_scale, weight.quantization.scale)
    assert np.array_equal(op.bias, np.frombuffer(file.buffers[bias.buffer].data, np.int32))
    assert op.padding == (1, 1, 1, 1)


def test_a_pad_before_a_convolution_becomes_its_padding(tmp_path: Path) -> None:
    (op,) = read(write_file(NETWORKS["pad before a convolution"], tmp_path / "source.tflite")).operators
    assert isinstance(op, Conv2d) and op.padding == (0, 1, 0, 1)


def test_a_flattened_image_needs_no_transpose(tmp_path: Path) -> None:
    graph = read(write_file(NETWORKS["reshape with an open batch"], tmp_path / "source.tflite"))
    assert [type(op) for op in graph.operators] == [Conv2d, Reshape, Linear, Softmax]
