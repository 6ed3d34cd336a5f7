"""Files have metadata, scales and sizes as documented, and writers refuse operators that they don't support."""

import json
from pathlib import Path

import numpy as np
import onnx as onnx_format
import pytest
from ai_edge_litert import schema_py_generated as schema
from support.networks import Everything, lived_in, quantized
from torch import nn

from edgekd.errors import UnsupportedOperatorError
from edgekd.formats import onnx, tflite
from edgekd.formats.estimate import forecast
from edgekd.formats.metadata import Preprocessing
from edgekd.graph.capture import capture
from edgekd.graph.structure import Graph
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.litert import LiteRTRunner
from edgekd.runtimes.onnxruntime import OnnxRuntimeRunner

INPUTS = Preprocessing(1 / 255, (0.5,), (0.25,))


@pytest.fixture(scope="module")
def graph() -> Graph:
    return quantized(lived_in(Everything(), (3, 16, 16)), (3, 16, 16))[1]


@pytest.mark.parametrize("writer", [tflite, onnx])
def test_the_same_graph_gives_the_same_bytes(graph: Graph, writer: object) -> None:
    assert writer.serialize(graph, ("a", "b"), INPUTS) == writer.serialize(graph, ("a", "b"), INPUTS)  # type: ignore[attr-defined]


def test_both_files_say_how_codes_become_values(graph: Graph, tmp_path: Path) -> None:
    q = graph.quantization(graph.output)
    litert = LiteRTRunner(tflite.write(graph, tmp_path / "g.tflite"))
    assert (litert.output.scale, litert.output.zero_point, litert.output.dtype) == (q.scale, q.zero_point, np.int8)
    ort = OnnxRuntimeRunner(onnx.write(graph, tmp_path / "g.onnx"))
    assert (ort.output.scale, ort.output.zero_point, ort.output.dtype) == (q.scale, q.zero_point + 128, np.uint8)


def test_the_scales_in_the_file_are_the_trained_ones(graph: Graph) -> None:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite.serialize(graph)))
    by_name = {tensor.name.decode(): tensor for tensor in model.subgraphs[0].tensors}
    for op in graph.weighted():
        assert op.weight_scale is not None
        np.testing.assert_array_equal(by_name[f"{op.name}/weight"].quantization.scale, op.weight_scale)
        step = np.float32(graph.quantization(op.inputs[0]).scale) * op.weight_scale
        np.testing.assert_array_equal(by_name[f"{op.name}/bias"].quantization.scale, step)


def test_the_zero_points_of_channels_stand_in_the_file_once(graph: Graph) -> None:
    read = schema.Model.GetRootAs(tflite.serialize(graph)).Subgraphs(0)
    quantizations = [read.Tensors(number).Quantization() for number in range(read.TensorsLength())]
    codes = [each for each in quantizations if each is not None and each.ZeroPointLength() > 1]
    field = 10  # of zero_point in the schema's table
    places = {(tuple(each.ZeroPointAsNumpy()), each._tab.Vector(each._tab.Offset(field))) for each in codes}
    assert len({zeros for zeros, _ in places}) == len(places)
    assert len(codes) > 2 * len(places)


def test_labels_and_preprocessing_stand_in_the_metadata(graph: Graph) -> None:
    model = onnx_format.load_from_string(onnx.serialize(graph, ("cat", "dög"), INPUTS))
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(properties["labels"]) == ["cat", "dög"]
    assert json.loads(properties["preprocessing"]) == {"scale": 1 / 255, "mean": [0.5], "std": [0.25]}
    read = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite.serialize(graph, ("cat", "dög"), INPUTS)))
    buffers = {entry.name.decode(): bytes(read.buffers[entry.buffer].data) for entry in read.metadata}
    entries = {name: content.decode() for name, content in buffers.items() if name != "TFLITE_METADATA"}
    assert entries["labels"] == properties["labels"]
    assert int(entries["input_zero_point"]) + 128 == int(properties["input_zero_point"])


def test_an_int8_file_holds_no_float_tensor(graph: Graph) -> None:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(tflite.serialize(graph)))
    types = {tensor.type for tensor in model.subgraphs[0].tensors}
    assert types == {schema.TensorType.INT8, schema.TensorType.INT32}


def test_weights_start_on_16_bytes_as_the_schema_asks(graph: Graph) -> None:
    data = tflite.serialize(graph)
    model = schema.Model.GetRootAs(data)
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        if buffer.DataLength():
            address = buffer.DataAsNumpy().__array_interface__["data"][0]
            assert (address - np.frombuffer(data, np.uint8).__array_interface__["data"][0]) % 16 == 0


def test_the_forecast_is_the_size_of_the_file(tmp_path: Path) -> None:
    model = lived_in(Everything(), (3, 16, 16))
    _, graph, _ = quantized(model, (3, 16, 16))
    estimate = forecast(model, (3, 16, 16), ("a", "b"))
    size = tflite.write(graph, tmp_path / "g.tflite", ("a", "b")).stat().st_size
    assert abs(estimate.size_bytes - size) <= 64  # numbers in the metadata differ in length
    assert estimate.macs > 0
    assert isinstance(Simulation(estimate.graph), nn.Module)


def test_an_unknown_operator_is_refused_by_every_writer() -> None:
    graph = capture(nn.Sequential(nn.Linear(2, 2)), (2,))
    for writer in (tflite, onnx):
        writer_function = writer.WRITERS.pop(type(graph.operators[0]))
        try:
            with pytest.raises(UnsupportedOperatorError, match="layer 0"):
                writer.serialize(graph)
        finally:
            writer.WRITERS[type(graph.operators[0])] = writer_function
