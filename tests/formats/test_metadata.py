"""Files describe their inputs: the usage line runs, TFLite's own metadata is readable, uint8 is int8 shifted."""

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import onnx as onnx_format
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from flatbuffers import number_types
from support.networks import Everything, lived_in

from edgekd.catalog.runtimes import RUNTIMES
from edgekd.formats import onnx, tflite
from edgekd.formats.metadata import Preprocessing, RawCodes
from edgekd.formats.tflite.task_metadata import IDENTIFIER, NAME
from edgekd.graph import reference
from edgekd.graph.capture import capture
from edgekd.graph.structure import Graph, Quantization
from edgekd.quantization.inputs import Normalisation, fold, of_pixels
from edgekd.quantization.simulate import Simulation
from edgekd.runtimes.parity import Session

TRAINED = Preprocessing(1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
LABELS = ("cat", "dög", *map(str, range(8)))
DECODING = "label = labels[answer.argmax()]"
RANDOM = np.random.default_rng(0)
COLORS = RANDOM.integers(0, 256, (32, 3, 1, 1))  # one for each image, so that answers differ
RAW = (COLORS + RANDOM.integers(-40, 41, (32, 3, 16, 16))).clip(0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def float_graph() -> Graph:
    return capture(lived_in(Everything(), (3, 16, 16)), (3, 16, 16))


@pytest.fixture(scope="module")
def raw(float_graph: Graph) -> tuple[Graph, Preprocessing]:
    """Return an int8 graph that takes pixels, and the preprocessing of its input."""
    normalisation = Normalisation(TRAINED.scale, TRAINED.mean, TRAINED.std)
    view = of_pixels(normalisation)
    simulation = Simulation(fold(float_graph, normalisation, view).graph).eval()
    simulation.calibrate([torch.from_numpy(((RAW / 255 - view.mean) / view.std).astype(np.float32))])
    return simulation.quantized_graph(), Preprocessing(1 / 255, (view.mean,) * 3, (view.std,) * 3)


def entries(file: bytes) -> dict[str, bytes]:
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(file))
    return {entry.name.decode(): bytes(model.buffers[entry.buffer].data) for entry in model.metadata}


def properties(file: bytes) -> dict[str, str]:
    return {entry.key: entry.value for entry in onnx_format.load_from_string(file).metadata_props}


def label_of(usage: str, path: Path, sample: np.ndarray) -> str:
    names: dict[str, Any] = {"raw": sample, "path": str(path), "labels": LABELS, "numpy": np}
    exec(usage, names)
    return str(names["label"])


def test_the_usage_line_of_every_file_gives_the_label(
    raw: tuple[Graph, Preprocessing], float_graph: Graph, tmp_path: Path
) -> None:
    int8, folded = raw
    codes = RAW.astype(int) - 128
    expected = [LABELS[i] for i in reference.run(int8, codes.astype(np.int8)).argmax(axis=1)]
    with torch.no_grad():
        x = torch.from_numpy(RAW).float() / 255
        mean, std = (torch.tensor(v).reshape(1, 3, 1, 1) for v in (TRAINED.mean, TRAINED.std))
        in_float = [LABELS[i] for i in Simulation(float_graph)((x - mean) / std).argmax(dim=1)]
    assert len(set(expected[:4])) > 1 and len(set(in_float[:4])) > 1
    for graph, inputs, answers in ((int8, folded, expected), (float_graph, TRAINED, in_float)):
        for dtype in ("int8", "uint8"):
            file = tflite.write(graph, tmp_path / "m.tflite", LABELS, inputs, dtype, DECODING)  # type: ignore[arg-type]
            usage = entries(file.read_bytes())["usage"].decode()
            assert [label_of(usage, file, x.transpose(1, 2, 0)) for x in RAW[:4]] == answers[:4]
        file = onnx.write(graph, tmp_path / "m.onnx", LABELS, inputs, decoding=DECODING)
        usage = properties(file.read_bytes())["usage"]
        assert [label_of(usage, file, x) for x in RAW[:4]] == answers[:4]


@pytest.mark.parametrize("kind", ["tflite", "onnx"])
def test_the_usage_line_gives_an_answer_in_real_numbers_where_the_task_asks_for_them(
    raw: tuple[Graph, Preprocessing], kind: str, tmp_path: Path
) -> None:
    (graph, inputs), decoding = raw, "label = {real}"
    q, codes = graph.quantization(graph.output), (RAW[:1].astype(int) - 128).astype(np.int8)
    if kind == "tflite":
        file, sample = (
            tflite.write(graph, tmp_path / "m.tflite", (), inputs, decoding=decoding),
            np.moveaxis(RAW[0], 0, 2),
        )
        usage, answer = entries(file.read_bytes())["usage"].decode(), reference.run(graph, codes, kernels="xnnpack")
    else:
        file, sample = onnx.write(graph, tmp_path / "m.onnx", (), inputs, decoding=decoding), RAW[0]
        usage, answer = properties(file.read_bytes())["usage"], reference.run(graph, codes, kernels="onnxruntime")
    names: dict[str, Any] = {"raw": sample, "path": str(file), "numpy": np}
    exec(usage, names)
    np.testing.assert_allclose(names["label"], q.scale * (answer.astype(float) - q.zero_point))


def test_nothing_is_left_to_do_to_pixels(raw: tuple[Graph, Preprocessing]) -> None:
    graph, inputs = raw
    preprocessings = [
        json.loads(entries(tflite.serialize(graph, LABELS, inputs))["preprocessing"]),
        json.loads(entries(tflite.serialize(graph, LABELS, inputs, "uint8"))["preprocessing"]),
        json.loads(properties(onnx.serialize(graph, LABELS, inputs))["preprocessing"]),
    ]
    assert preprocessings == [{"step": 1.0, "shift": -128}, {"step": 1.0, "shift": 0}, {"step": 1.0, "shift": 0}]


def test_samples_are_divided_by_a_step() -> None:
    # the code of x is round((x - 2) / 4 / 0.5) + 10, which is round(x / 2) + 9
    assert Preprocessing(1.0, (2.0,), (4.0,)).raw_codes(Quantization(0.5, 10)) == RawCodes(2.0, 9)
    assert Preprocessing(1.0, (2.0, 3.0), (4.0, 4.0)).raw_codes(Quantization(0.5, 10)) is None
    assert Preprocessing(1.0, (2.5,), (4.0,)).raw_codes(Quantization(0.5, 10)) is None


@pytest.mark.parametrize("runtime", ["litert", "tflite-micro"])
def test_a_file_that_takes_uint8_answers_as_the_one_that_takes_int8(
    raw: tuple[Graph, Preprocessing], runtime: str, tmp_path: Path
) -> None:
    if runtime == "tflite-micro":
        pytest.importorskip("tflite_micro")
    every = np.arange(256).repeat(3 * 256).reshape(256, 3, 16, 16)  # each code, and mixtures
    codes = (np.concatenate([every, RAW.astype(int)]) - 128).astype(np.int8)
    answers = []
    for dtype in ("int8", "uint8"):
        session = Session(
            RUNTIMES[runtime],
            tflite.write(raw[0], tmp_path / f"{dtype}.tflite", input_dtype=dtype),  # type: ignore[arg-type]
        )
        answers.append(session.run(codes)[0])
    assert answers[0].std() > 0
    np.testing.assert_array_equal(*answers)
    np.testing.assert_array_equal(answers[1], reference.run(raw[0], codes, kernels=RUNTIMES[runtime].kernels))


class Reader:
    """A reader of a flatbuffer table by slot, as in a parser that has the schema."""

    def __init__(self, data: bytes, position: int | None = None) -> None:
        start = flatbuffers.encode.Get(number_types.UOffsetTFlags.packer_type, data, 0)
        self.table = flatbuffers.table.Table(bytearray(data), start if position is None else position)

    def _at(self, slot: int) -> int:
        return int(self.table.Offset(4 + 2 * slot))

    def text(self, slot: int) -> str:
        return str(self.table.String(self._at(slot) + self.table.Pos).decode())

    def byte(self, slot: int) -> int:
        return int(self.table.Get(number_types.Uint8Flags, self._at(slot) + self.table.Pos))

    def sub(self, slot: int) -> "Reader":
        return Reader(bytes(self.table.Bytes), self.table.Indirect(self._at(slot) + self.table.Pos))

    def item(self, slot: int, index: int = 0) -> "Reader":
        at = self.table.Vector(self._at(slot)) + 4 * index
        return Reader(bytes(self.table.Bytes), self.table.Indirect(at))

    def floats(self, slot: int) -> list[float]:
        values: np.ndarray = self.table.GetVectorAsNumpy(number_types.Float32Flags, self._at(slot))
        return values.tolist()


def test_tflites_own_metadata_says_how_pixels_are_normalised_and_where_labels_are(
    raw: tuple[Graph, Preprocessing],
) -> None:
    file = tflite.serialize(raw[0], LABELS, raw[1])
    content = entries(file)[NAME]
    assert content[4:8] == IDENTIFIER
    subgraph = Reader(content).item(3)
    input_table, output_table = subgraph.item(2), subgraph.item(3)
    assert (input_table.text(0), output_table.text(0)) == ("input", "output")
    assert (input_table.sub(3).byte(0), input_table.sub(3).sub(1).byte(0)) == (2, 1)  # an image, RGB
    unit = input_table.item(4)
    assert (unit.byte(0), unit.sub(1).floats(0), unit.sub(1).floats(1)) == (1, [114.0], [64.0])
    q = raw[0].quantization("input")
    assert round((200 - 114.0) / 64.0 / q.scale) + q.zero_point == 200 - 128  # so the Task library gets pixel - 128
    labels = output_table.item(6)
    assert (labels.text(0), labels.byte(2)) == ("labels.txt", 2)
    with zipfile.ZipFile(io.BytesIO(file)) as archive:
        assert archive.read("labels.txt").decode().splitlines() == list(LABELS)


def test_a_file_without_labels_and_preprocessing_has_no_metadata_of_that_kind(float_graph: Graph) -> None:
    assert {"labels", "usage", "preprocessing", NAME}.isdisjoint(entries(tflite.serialize(float_graph)))
