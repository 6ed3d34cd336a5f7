"""The options of the quantize stage: PTQ, the start of QAT, raw inputs, layers in float, and their metrics."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from support.small_training import stripes

from edgekd.config import Compute, Config, Quantize
from edgekd.data.batches import Batch, normalise, renormalise
from edgekd.data.splits import Split, Splits
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.errors import ConfigError
from edgekd.graph import files
from edgekd.graph.operators import arithmetic
from edgekd.nn import blueprint
from edgekd.nn.blueprint import Blueprint
from edgekd.nn.outputs import Outputs
from edgekd.quantization import train
from edgekd.quantization.prepare import prepared
from edgekd.quantization.samples import calibration_samples
from edgekd.stages import export, quantize, verify

STUDENT = Blueprint("support.small_training:Tiny", {"classes": 2, "input_shape": [1, 8, 8]})


def splits_of(kind: str) -> Splits:
    """Return stripes as pixels, or the same images as floats in an unusual unit."""
    pixels = stripes()
    if kind == "pixels":
        return pixels

    def volts(split: Split) -> Split:
        return Split(split.x.astype(np.float32) * 0.02 + 3.0, split.y)

    parts = (volts(split) for split in (pixels.train, pixels.validation, pixels.test))
    return Splits(*parts, pixels.classes, (5.2,), (1.5,))


def leave(folder: Path, splits: Splits, student: Blueprint = STUDENT) -> dict[str, Path]:
    """Write the artifacts of the earlier stages, whose untrained networks have batch statistics of the data."""
    artifacts = {
        name: folder / name for name in ("data", "teacher", "distill", "prune", "quantize", "export", "verify")
    }
    for path in artifacts.values():
        path.mkdir(parents=True)
    splits.save(artifacts["data"])
    model = blueprint.build(student, seed=1)
    model.train()(normalise(splits.train.x, splits))
    for name in ("teacher", "distill", "prune"):
        blueprint.save(model, student, artifacts[name] / "model")
    return artifacts


def configured(quantize: Mapping[str, Any] | None = None, export: Mapping[str, Any] | None = None) -> Config:
    small = {"epochs": 1, "batch_size": 16, "calibration": 48}
    settings = {"data": {"augment": {}}, "quantize": {**small, **(quantize or {})}, "export": export or {}}
    return Config.model_validate({**settings, "verify": {"runtimes": ["litert", "onnxruntime"]}})


def run(artifacts: Mapping[str, Path], config: Config) -> dict[str, Any]:
    """Run quantize, export and verify, and return the metrics of quantize."""
    metrics = quantize.run(config, artifacts, artifacts["quantize"])
    export.run(config, artifacts, artifacts["export"])
    verify.run(config, artifacts, artifacts["verify"])
    return metrics


def boundaries(artifacts: Mapping[str, Path]) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in json.loads((artifacts["verify"] / "boundaries.json").read_text())}


@pytest.mark.parametrize("kind", ["pixels", "volts"])
def test_ptq_ships_what_was_calibrated_and_its_files_take_raw_values(kind: str, tmp_path: Path) -> None:
    splits = splits_of(kind)
    artifacts = leave(tmp_path, splits)
    metrics = run(artifacts, configured({"method": "ptq"}))
    assert metrics["ptq"] == {name: metrics[name] for name in ("score", "score_error", "validation_score")}
    assert (metrics["method"], metrics["trained"], metrics["input"]["takes"]) == ("ptq", False, "raw")
    rows = boundaries(artifacts)
    assert all(rows[name]["differing"] == 0 for name in ("simulation", "litert", "onnxruntime"))
    assert rows["litert"]["score"]["value"] == metrics["score"]
    graph = files.load(artifacts["quantize"] / "graph")
    step = 1.0 if kind == "pixels" else 0.02 * 180 / 255
    assert metrics["input"]["step"] == pytest.approx(step, rel=0.4)
    q, raw_splits = graph.quantization(graph.input), splits.in_units_of(artifacts["quantize"])
    shift = q.zero_point - raw_splits.mean[0] / raw_splits.scale / metrics["input"]["step"]
    assert shift == pytest.approx(round(shift), abs=1e-3)
    expected_codes = np.rint(splits.test.x.astype(np.float64) / metrics["input"]["step"]) + round(shift)
    codes = arithmetic.quantize(normalise(splits.test.x, raw_splits).numpy(), q)
    differences = np.abs(codes - np.clip(expected_codes, -128, 127))
    assert differences.max() <= 1 and (differences > 0).mean() < 0.02  # where a value is in the middle of two codes
    if kind == "pixels":
        np.testing.assert_array_equal(codes, splits.test.x.astype(int) - 128)


def test_qat_starts_from_ptq_and_says_what_that_would_give(tmp_path: Path) -> None:
    artifacts = leave(tmp_path, stripes())
    ptq = run(artifacts, configured({"method": "ptq"}))
    qat = quantize.run(configured(), artifacts, artifacts["quantize"])
    assert qat["method"] == "qat"
    assert qat["ptq"] == ptq["ptq"]
    assert quantize.run(configured({"baseline": False}), artifacts, artifacts["quantize"])["ptq"] is None


def test_a_teacher_sees_batches_as_it_was_trained_on_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    splits = stripes()
    artifacts, differences = leave(tmp_path, splits), []

    def teacher(batch: Batch) -> Outputs:
        expected = normalise(splits.train.x[batch.index.numpy()], splits)
        differences.append(float((batch.x - expected).abs().max()))
        return Outputs(torch.nn.functional.one_hot(batch.y, 2).float())

    monkeypatch.setattr(quantize, "open_teacher", lambda *arguments, **others: teacher)
    quantize.run(configured(), artifacts, artifacts["quantize"])
    assert differences and max(differences) < 1e-5


def test_normalised_input_stays_as_in_training(tmp_path: Path) -> None:
    artifacts = leave(tmp_path, stripes())
    metrics = run(artifacts, configured({"method": "ptq"}, {"input": "normalised"}))
    assert metrics["input"] == {"takes": "normalised"}
    assert not (artifacts["quantize"] / "units.json").exists()
    assert boundaries(artifacts)["litert"]["differing"] == 0


def test_channels_that_differ_too_much_stay_normalised_and_a_note_says_so(tmp_path: Path) -> None:
    pixels = stripes()

    def scaled(split: Split) -> Split:
        x = split.x.astype(np.float32)
        return Split(np.concatenate([x * 1000, x], axis=1), split.y)

    parts = (scaled(split) for split in (pixels.train, pixels.validation, pixels.test))
    splits = Splits(*parts, pixels.classes, (110_000.0, 110.0), (70_000.0, 70.0))
    student = Blueprint("support.small_training:Tiny", {"classes": 2, "input_shape": [2, 8, 8]})
    metrics = quantize.run(
        configured({"method": "ptq"}), artifacts := leave(tmp_path, splits, student), artifacts["quantize"]
    )
    assert metrics["input"] == {"takes": "normalised"}
    assert "channels differ too much" in metrics["notes"][0]


def test_layers_in_float_reach_the_files_and_are_counted(tmp_path: Path) -> None:
    artifacts = leave(tmp_path, stripes())
    metrics = run(artifacts, configured({"method": "ptq", "float_layers": ["head"]}, {"input_dtype": "uint8"}))
    assert (metrics["float_layers"], metrics["boundaries"]) == (["head"], 2)
    [head] = [op for op in files.load(artifacts["quantize"] / "graph").weighted() if op.name == "head"]
    assert head.weight.dtype == np.float32
    assert boundaries(artifacts)["simulation"]["score"]["value"] == metrics["score"]
    assert "2 boundaries between codes and real values: head (Linear)" in metrics["notes"]


def test_functions_that_the_file_computes_on_real_values_are_counted_too(tmp_path: Path) -> None:
    artifacts = leave(tmp_path, stripes(), Blueprint("support.small_training:hard_swish_network", {}))
    counts = {
        name: run(artifacts, configured({"method": "ptq", "kernels": name}))["boundaries"]
        for name in ("xnnpack", "tflm")
    }
    assert counts == {"xnnpack": 2, "tflm": 0}  # TFLite Micro has an integer kernel for it


def test_layers_of_16_bits_reach_the_file_and_are_exact(tmp_path: Path) -> None:
    artifacts = leave(tmp_path, stripes())
    metrics = run(artifacts, configured({"method": "ptq", "int16_layers": ["head"]}, {"formats": ["tflite"]}))
    assert metrics["int16_layers"] == ["head"]
    tensors = files.load(artifacts["quantize"] / "graph").tensors.values()
    assert {tensor.quantization.bits for tensor in tensors if tensor.quantization} == {8, 16}
    assert boundaries(artifacts)["litert"]["differing"] == 0


def test_a_float_layer_that_is_none_is_refused_before_anything_trains(tmp_path: Path) -> None:
    artifacts = leave(tmp_path, stripes())
    settings = {"student": {"model": "support.small_training:Tiny"}, "quantize": {"float_layers": ["haed"]}}
    with pytest.raises(ConfigError, match="'haed'") as caught:
        export.precheck(Config.model_validate(settings), artifacts["data"])
    assert (caught.value.remedy or "").startswith("head")


def test_sensitivity_is_a_table_in_the_artifact_and_in_the_metrics(tmp_path: Path) -> None:
    artifacts = leave(tmp_path, stripes())
    metrics = quantize.run(configured({"method": "ptq", "sensitivity": True}), artifacts, artifacts["quantize"])
    rows = json.loads((artifacts["quantize"] / "sensitivity.json").read_text())
    assert [row["layer"] for row in rows] == list(metrics["sensitivity"])
    assert {"input", "body.0", "head"} <= set(metrics["sensitivity"])
    assert all(5 < row["sqnr_db"] <= 150 for row in rows)


@pytest.mark.parametrize("calibrate", ["minmax", "percentile", "mse"])
def test_every_way_to_calibrate_gives_a_network_close_to_float(calibrate: str) -> None:
    splits = stripes()
    model = blueprint.build(STUDENT, seed=1)
    model.train()(normalise(splits.train.x, splits))
    graph = train.captured(model, splits)
    settings = Quantize(calibration=48, calibrate=calibrate, equalise=True)  # type: ignore[arg-type]
    simulation = train.calibrated(graph, calibration_samples(splits, 48, 0), settings)
    x = normalise(splits.test.x, splits)
    with torch.no_grad():
        float_logits, logits = model.eval()(x), simulation(x)
    assert float((float_logits - logits).square().mean() / float_logits.square().mean()) < 1e-3


def test_training_goes_at_the_same_pace_on_raw_inputs() -> None:
    splits = stripes()
    model = blueprint.build(STUDENT, seed=1)
    model.train()(normalise(splits.train.x, splits))
    graph = train.captured(model, splits)
    view, note = train.sensor_view(graph, calibration_samples(splits, 48, 0), Quantize())
    assert view is not None and not note
    folded = prepared(graph, train.normalisation(splits), view).graph
    raw_splits = Splits(splits.train, splits.validation, splits.test, splits.classes, (view.mean,), (view.std,))

    def teacher(batch: Batch) -> Outputs:
        return Outputs(torch.nn.functional.one_hot(batch.y, 2).float() * 4)

    settings = Quantize(epochs=6, batch_size=16, calibration=48, learning_rate=1e-2)
    results = [
        train.quantize(network, data, teacher, SoftTargets(), settings, seed=0, compute=Compute())
        for network, data in ((folded, raw_splits), (graph, splits))
    ]
    raw, normal = (result.training.losses for result in results if result.training)
    assert raw[-1] < 0.9 * raw[0]
    assert raw == pytest.approx(normal, rel=0.03)
    assert results[0].simulation.quantization("input") == view.quantization
    assert results[0].before is not None


def test_two_views_of_the_same_data_convert_into_one_another() -> None:
    splits = stripes()
    other = Splits(splits.train, splits.validation, splits.test, splits.classes, (0.1,), (0.7,))
    x = normalise(splits.train.x[:4], splits)
    torch.testing.assert_close(renormalise(x, splits, other), normalise(splits.train.x[:4], other))
    assert renormalise(x, splits, splits) is x


def test_samples_can_be_gone_through_again_and_in_smaller_batches() -> None:
    samples = calibration_samples(stripes(), 90, 3)
    first_pass, second_pass = list(samples), list(samples)
    assert [len(x) for x in first_pass] == [64, 26]
    assert all(torch.equal(a, b) for a, b in zip(first_pass, second_pass, strict=True))
    assert [len(x) for x in samples.first(16)] == [16]
    assert torch.equal(next(iter(samples.first(16))), first_pass[0][:16])
