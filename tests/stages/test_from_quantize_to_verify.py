"""Quantize, export and verify run one after the other on a small network, from pruned student to verified files."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from support.small_training import stripes
from torch import nn

from edgekd.config import Compute, Config, Quantize
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.errors import ModelError
from edgekd.formats.estimate import forecast
from edgekd.graph import files, reference
from edgekd.graph.capture import capture
from edgekd.graph.operators import arithmetic
from edgekd.nn import blueprint
from edgekd.nn.blueprint import Blueprint
from edgekd.nn.outputs import Outputs
from edgekd.pruning.groups import cut, find, width
from edgekd.quantization import train
from edgekd.results import Boundary
from edgekd.runtimes import parity
from edgekd.runtimes.litert import LiteRTRunner
from edgekd.runtimes.onnxruntime import OnnxRuntimeRunner
from edgekd.stages import export, quantize, verify

CONFIG = Config.model_validate(
    {
        "data": {"augment": {}},
        "quantize": {"epochs": 2, "batch_size": 16, "calibration": 64, "learning_rate": 1e-3},
    }
)
STUDENT = Blueprint("resnet8", {"classes": 2, "input_shape": [1, 8, 8], "width": 4})


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """Return the artifact folders of a build by stage; its networks are untrained, and the tested stages have run."""
    folder = tmp_path_factory.mktemp("store")
    artifacts = {
        name: folder / name for name in ("data", "teacher", "distill", "prune", "quantize", "export", "verify")
    }
    for path in artifacts.values():
        path.mkdir()
    stripes().save(artifacts["data"])
    for name in ("teacher", "distill", "prune"):
        model = blueprint.build(STUDENT, seed=1)
        model.train()(torch.randn(32, 1, 8, 8))
        blueprint.save(model, STUDENT, artifacts[name] / "model")
    for stage in (quantize, export, verify):
        metrics = stage.run(CONFIG, artifacts, artifacts[stage.__name__.rpartition(".")[2]])
        (artifacts[stage.__name__.rpartition(".")[2]] / "metrics.json").write_text(json.dumps(metrics))
    return artifacts


def metrics(folder: Path) -> dict[str, object]:
    values: dict[str, object] = json.loads((folder / "metrics.json").read_text())
    return values


def boundaries(folder: Path) -> dict[str, Boundary]:
    rows = [Boundary.model_validate(row) for row in json.loads((folder / "boundaries.json").read_text())]
    return {row.name: row for row in rows}


def teacher(batch) -> Outputs:
    return Outputs(nn.functional.one_hot(batch.y, 2).float() * 4)


def test_every_boundary_is_compared_and_every_gate_holds(build):
    rows = boundaries(build["verify"])
    assert list(rows) == [
        "teacher", "distilled", "pruned", "simulation", "reference (xnnpack)", "reference (onnxruntime)",
        "litert", "onnxruntime",
    ]  # fmt: skip
    for name in ("litert", "onnxruntime"):
        assert rows[name].layers and all(layer.differing == 0 for layer in rows[name].layers)
        assert (rows[name].differing, rows[name].outputs, rows[name].passed) == (0, 64, True)
    assert rows["simulation"].passed
    assert rows["reference (onnxruntime)"].passed is None  # the two runtimes add differently; neither is wrong
    assert metrics(build["verify"]) == {"passed": True}


def test_the_graph_that_ships_is_the_simulation_that_was_trained(build):
    simulation = verify._simulation(build["quantize"], "xnnpack")
    simulated, shipped = simulation.quantized_graph(), files.load(build["quantize"] / "graph")
    assert simulated.tensors == shipped.tensors
    for simulated_op, shipped_op in zip(simulated.weighted(), shipped.weighted(), strict=True):
        np.testing.assert_array_equal(simulated_op.weight, shipped_op.weight)


def test_quantize_leaves_no_checkpoint_behind(build):
    assert sorted(path.name for path in build["quantize"].iterdir()) == [
        "float",
        "graph",
        "metrics.json",
        "simulation.pt",
        "units.json",
    ]
    assert metrics(build["quantize"])["kernels"] == "xnnpack"


def test_training_in_the_deployed_arithmetic_makes_the_int8_network_better():
    splits, model = stripes(), blueprint.build(STUDENT, seed=1)
    model.train()(torch.randn(32, 1, 8, 8))
    graph = train.captured(model, splits)

    def accuracy(learning_rate: float) -> float:
        settings = Quantize(epochs=4, batch_size=16, calibration=64, learning_rate=learning_rate)
        result = train.quantize(graph, splits, teacher, SoftTargets(), settings, seed=0, compute=Compute())
        int8 = result.simulation.quantized_graph()
        x = next(verify._inputs(splits))
        codes = reference.run(int8, arithmetic.quantize(x, int8.quantization(int8.input)))
        return float((codes.argmax(axis=1) == splits.test.y[: len(x)]).mean())

    assert accuracy(3e-3) > 0.9 > accuracy(1e-9)


def test_a_graph_that_is_not_the_model_is_noticed():
    class Moody(nn.Module):
        """A network whose output depends on the size of the batch, so that no captured graph can be right."""

        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(64, 2)

        def forward(self, x):
            y = self.layer(x.flatten(1))
            return y if x.shape[0] == 2 else y + y

    with pytest.raises(ModelError, match="differs from the student"):
        train.captured(Moody(), stripes())


def test_all_files_are_written_and_weighed(build):
    exported = metrics(build["export"])
    assert set(exported["files"]) == {
        f"{name}.{kind}"
        for name in ("model", "model_float", "stages/teacher", "stages/distill")
        for kind in ("tflite", "onnx")
    }
    for name, size in exported["files"].items():
        assert (build["export"] / name).stat().st_size == size
    assert exported["macs"]["int8"] == exported["macs"]["pruned"] > 0
    assert exported["peak_ram_bytes"]["pruned"] == pytest.approx(4 * exported["peak_ram_bytes"]["int8"], rel=0.05)


def test_a_teacher_that_can_not_be_captured_is_a_note(build, tmp_path):
    odd = Blueprint("support.networks:Perceptron", {})
    artifacts = {**build, "teacher": tmp_path / "teacher"}
    blueprint.save(blueprint.build(odd), odd, artifacts["teacher"] / "model")  # takes 48 inputs where the data has 64
    (tmp_path / "out").mkdir()
    exported = export.run(CONFIG, artifacts, tmp_path / "out")
    assert "the teacher's float file is missing" in exported["notes"][0]
    assert exported["macs"]["teacher"] is None
    assert (tmp_path / "out" / "model.tflite").is_file()


def test_a_pruned_student_goes_on_in_another_build_with_its_sizes(build, tmp_path):
    splits = stripes()
    small = blueprint.build(STUDENT, seed=1).eval()
    groups = find(small, splits.example).groups
    cut(groups, [range(width(group) - 1) for group in groups])
    artifacts = {**build, "prune": tmp_path / "prune"}
    blueprint.save(small, STUDENT, artifacts["prune"] / "model")
    (tmp_path / "out").mkdir()
    export.run(CONFIG, artifacts, tmp_path / "out")

    unpruned = {"model": "resnet8", "width": 4}
    sizes = []
    for student in (unpruned, {**unpruned, "checkpoint": tmp_path / "out" / "student.pt"}):
        costs = export.forecast(Config.model_validate({"student": student}), splits)
        sizes.append(costs["size_bytes"])
    decoding = splits.task.answers.decoding
    assert sizes == [
        forecast(blueprint.build(STUDENT), splits.example, splits.classes, decoding=decoding).size_bytes,
        forecast(small, splits.example, splits.classes, decoding=decoding).size_bytes,
    ]
    assert sizes[1] < sizes[0]


def test_only_the_formats_that_are_asked_for_are_written(build, tmp_path):
    config = CONFIG.model_copy(update={"export": CONFIG.export.model_copy(update={"formats": ("onnx",)})})
    exported = export.run(config, build, tmp_path)
    assert all(name.endswith(".onnx") for name in exported["files"])


def test_a_tampered_weight_fails_the_gate_and_names_its_layer(build, tmp_path):
    candidate = tmp_path / "export"
    candidate.mkdir()
    for kind in ("tflite", "onnx"):
        (candidate / f"model.{kind}").write_bytes((build["export"] / f"model.{kind}").read_bytes())
    graph = files.load(build["quantize"] / "graph")
    last = list(graph.weighted())[-1]
    data = (candidate / "model.tflite").read_bytes()
    model = schema.Model.GetRootAs(bytearray(data))
    tensors = [model.Subgraphs(0).Tensors(i) for i in range(model.Subgraphs(0).TensorsLength())]
    weight = next(t for t in tensors if t.Name().decode() == f"{last.name}/weight")
    values = model.Buffers(weight.Buffer()).DataAsNumpy()
    offset = data.index(values.tobytes())
    tampered = bytearray(data)
    for i in range(len(values)):
        tampered[offset + i] ^= 0x40
    (candidate / "model.tflite").write_bytes(tampered)
    verified = verify.run(CONFIG, {**build, "export": candidate}, tmp_path)
    rows = boundaries(tmp_path)
    assert verified == {"passed": False}
    assert rows["litert"].passed is False
    assert rows["litert"].differing > 0
    assert rows["onnxruntime"].passed


def test_the_first_diverging_layer_is_named(build):
    graph = files.load(build["quantize"] / "graph")
    codes = np.random.default_rng(0).integers(-128, 128, (8, 1, 8, 8)).astype(np.int8)
    values = dict(reference.trace(graph, codes))
    wrong = {op.output: values[op.output] for op in graph.operators[:3]}
    wrong |= {op.output: np.roll(values[op.output], 1, axis=0) for op in graph.operators[3:]}
    rows = parity.differences(graph, values, wrong)
    first = next(row for row in rows if row.differing)
    assert [row.layer for row in rows] == [op.name for op in graph.operators]
    assert first.layer == graph.operators[3].name
    assert 0 < first.differing <= first.outputs and first.largest_steps > 0


def test_a_constant_network_fails_although_all_agree(build):
    row = Boundary(name="reference (xnnpack)", score=boundaries(build["verify"])["litert"].score)
    assert verify._check_variation(row, np.full((4, 2), 7, np.int8)).passed is False
    assert verify._check_variation(row, np.array([[1, 2], [2, 1]], np.int8)).passed is True


def test_the_simulation_may_differ_by_as_little_as_the_settings_say():
    hundred = stripes(count=100)
    splits = replace(hundred, test=hundred.train)
    reference = verify.Answers("reference", np.tile(np.array([[9, 1]], np.int8), (100, 1)))
    one_off = verify.Answers("simulation", reference.values.copy())
    one_off.values[0, 1] += 1
    two_off = verify.Answers("simulation", reference.values.copy())
    two_off.values[0, 1] += 2
    loose = verify.Gate(identical=0.99, steps=1)
    assert verify.compare(one_off, splits, reference, loose).passed is True
    assert verify.compare(two_off, splits, reference, loose).passed is False
    assert verify.compare(one_off, splits, reference, verify.Gate(0.9999, 1)).passed is False
    assert verify.compare(one_off, splits, reference, verify.EXACT).passed is False
    assert verify.compare(one_off, splits, reference, verify.EXACT).largest_steps == 1
    assert verify.compare(one_off, splits, reference).passed is None


def test_the_files_run_by_themselves_on_codes_made_from_their_metadata(build):
    """A user does the same on a device: read scale and zero point from the file, quantise the input and run it."""
    splits = stripes().in_units_of(build["quantize"])
    x = next(verify._inputs(splits))
    litert = LiteRTRunner(build["export"] / "model.tflite")
    codes = np.clip(np.rint(x / np.float32(litert.input.scale)) + litert.input.zero_point, -128, 127).astype(np.int8)
    by_tflite = litert.run(np.ascontiguousarray(np.moveaxis(codes, 1, -1))).argmax(axis=1)
    ort = OnnxRuntimeRunner(build["export"] / "model.onnx")
    codes = np.clip(np.rint(x / np.float32(ort.input.scale)) + ort.input.zero_point, 0, 255).astype(np.uint8)
    assert (ort.run(codes).argmax(axis=1) == by_tflite).mean() > 0.95
    assert capture(blueprint.load(build["prune"] / "model")[0], (1, 8, 8)).operators
