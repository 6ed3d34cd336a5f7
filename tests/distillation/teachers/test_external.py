"""Tests of teachers from outside torch: files and functions get the input they expect and are checked before use."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch
from support.small_training import Tiny, stripes

from edgekd.config import Source
from edgekd.data.batches import batches, normalise
from edgekd.data.splits import Split
from edgekd.distillation.teachers.external import (
    check_answers,
    check_file,
    external_teacher,
    open_external,
    raw,
    try_out,
)
from edgekd.distillation.teachers.layout import axes_for, in_batches
from edgekd.errors import ConfigError, MissingExtraError, ModelError
from edgekd.formats.metadata import Preprocessing
from edgekd.formats.onnx import write as write_onnx
from edgekd.formats.tflite import write as write_tflite
from edgekd.graph.capture import capture

SPLITS = stripes(count=24)
WRITERS = {"onnx": write_onnx, "tflite": write_tflite}


def model(channels=1, size=(8, 6)):
    torch.manual_seed(1)
    net = Tiny(width=3, input_shape=(channels, *size))
    net.body[1].running_mean.uniform_(-0.5, 0.5)
    return net.eval()


def colourful(size=(8, 6), channels=3):
    x = np.random.default_rng(0).integers(0, 256, (12, channels, *size)).astype(np.uint8)
    split = Split(x, np.arange(12) % 2)
    return replace(SPLITS, train=split, validation=split, test=split, mean=(0.4, 0.5, 0.6), std=(0.2, 0.25, 0.3))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Write a float network for colour images in both formats. The TFLite file has its channels last."""
    folder, splits = tmp_path_factory.mktemp("files"), colourful()
    graph = capture(model(3), splits.example)
    inputs = Preprocessing(splits.scale, splits.mean, splits.std)
    return {kind: write(graph, folder / f"net.{kind}", splits.classes, inputs) for kind, write in WRITERS.items()}


@pytest.mark.parametrize("kind", ["onnx", "tflite"])
def test_a_file_answers_as_the_network_that_it_was_made_of(files, kind):
    splits = colourful()
    batch = next(batches(splits.train, splits, 12))
    logits = open_external(Source(file=files[kind]), splits)(batch).logits
    with torch.no_grad():
        torch.testing.assert_close(logits, model(3)(batch.x), atol=1e-4, rtol=1e-4)


def small_onnx(path, *, batch, dtype="FLOAT", channels_last=False, classes=2):
    """Write a file that averages each image's rows: (N, 1, 8, classes) -> (N, classes)."""
    from onnx import TensorProto, helper, save

    kind = getattr(TensorProto, dtype)
    shape = [batch, 8, classes, 1] if channels_last else [batch, 1, 8, classes]
    nodes = [
        helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["f"], ["y"], axes=[1, 3] if channels_last else [1, 2], keepdims=0),
    ]
    x, y = helper.make_tensor_value_info("x", kind, shape), helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    opset = [helper.make_opsetid("", 13)]
    save(helper.make_model(helper.make_graph(nodes, "g", [x], [y]), opset_imports=opset, ir_version=8), path)
    return path


def columns(dtype=np.uint8):
    x = np.random.default_rng(0).integers(0, 256, (7, 1, 8, 2)).astype(dtype)
    split = Split(x, np.arange(7) % 2)
    return replace(SPLITS, train=split, validation=split, test=split)


@pytest.mark.parametrize("batch", [1, 3, "N"])
@pytest.mark.parametrize("channels_last", [False, True])
def test_a_file_with_its_own_batch_and_layout_is_given_what_it_takes(tmp_path, batch, channels_last):
    splits = columns()
    file = small_onnx(tmp_path / "a.onnx", batch=batch, channels_last=channels_last)
    samples = next(batches(splits.train, splits, 7))
    logits = open_external(Source(file=file), splits)(samples).logits
    torch.testing.assert_close(logits, samples.x.mean((1, 2)))


def test_raw_pixels_are_the_codes_of_a_file_that_takes_bytes(tmp_path):
    splits = columns()
    file = small_onnx(tmp_path / "a.onnx", batch="N", dtype="UINT8")
    logits = open_external(Source(file=file, input="raw"), splits)(next(batches(splits.train, splits, 7))).logits
    np.testing.assert_allclose(logits.numpy(), splits.train.x.mean((1, 2)), rtol=1e-6)
    with pytest.raises(ModelError, match="does not say on which scale"):
        open_external(Source(file=file), splits)(next(batches(splits.train, splits, 7)))


def test_raw_inputs_are_those_of_the_data_set():
    splits = colourful()
    restored = raw(normalise(splits.train.x, splits), splits).numpy()
    np.testing.assert_array_equal(restored, splits.train.x)


def test_an_int8_file_is_quantised_by_its_own_scale(tmp_path):
    from edgekd.config import Quantize
    from edgekd.quantization.samples import calibration_samples
    from edgekd.quantization.train import calibrated

    splits = colourful()
    graph = capture(model(3), splits.example)
    simulation = calibrated(graph, calibration_samples(splits, 12, 0), Quantize(correct_bias=False))
    inputs = Preprocessing(splits.scale, splits.mean, splits.std)
    batch = next(batches(splits.train, splits, 12))
    with torch.no_grad():
        expected = simulation(batch.x)
    step = float((expected.max() - expected.min()) / 100)
    for kind, write in WRITERS.items():
        file = write(simulation.quantized_graph(), tmp_path / f"int8.{kind}", splits.classes, inputs)
        logits = open_external(Source(file=file), splits)(batch).logits
        assert (logits - expected).abs().max() < step, kind


@pytest.mark.parametrize("name", ["net.onnx", "net.tflite"])
def test_an_unreadable_file_is_refused(tmp_path, name):
    (tmp_path / name).write_bytes(b"no network" * 10)
    with pytest.raises(ModelError, match=rf"{name} can't be read as (ONNX|TFLite)"):
        open_external(Source(file=tmp_path / name), SPLITS)


def test_a_file_for_other_inputs_or_classes_is_refused(files, tmp_path):
    with pytest.raises(ModelError, match=r"takes inputs of shape \(3, 8, 6\), and the data has \(1, 8, 8\)"):
        open_external(Source(file=files["onnx"]), SPLITS)
    three = replace(columns(), classes=("a", "b", "c"))
    file = small_onnx(tmp_path / "a.onnx", batch="N")
    with pytest.raises(ModelError, match=r"gives \(2, 2\) for 2 samples; the data has 3 classes"):
        try_out(Source(file=file), three)


def test_a_file_of_another_kind_is_refused_with_what_may_be_named(tmp_path):
    with pytest.raises(ConfigError, match=r"net\.pt is none of \.onnx") as refused:
        check_file(tmp_path / "net.pt")
    assert "teacher.checkpoint" in refused.value.remedy


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is not None, reason="TensorFlow is installed")
def test_without_tensorflow_its_files_name_the_extra(tmp_path):
    for path in (tmp_path / "net.keras", tmp_path):
        with pytest.raises(MissingExtraError, match="needs TensorFlow") as refused:
            open_external(Source(file=path), SPLITS)
        assert refused.value.exit_code == 4 and "edgekd[tensorflow]" in refused.value.remedy


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="needs TensorFlow: edgekd[tensorflow]")
@pytest.mark.parametrize("filename", ["net.keras", "saved"])
def test_a_keras_network_answers_from_its_file(tmp_path, filename):
    import tensorflow as tf

    net = tf.keras.Sequential([tf.keras.Input((8, 6, 3)), tf.keras.layers.Flatten(), tf.keras.layers.Dense(2)])
    net.save(tmp_path / filename) if filename.endswith(".keras") else net.export(tmp_path / filename)
    splits = colourful()
    batch = next(batches(splits.train, splits, 12))
    logits = open_external(Source(file=tmp_path / filename), splits)(batch).logits.numpy()
    np.testing.assert_allclose(logits, net(batch.x.permute(0, 2, 3, 1).numpy()).numpy(), atol=1e-4)


def halves(x):
    """A user's function, which returns the means of the left and the right half of each image."""
    assert isinstance(x, np.ndarray) and x.dtype == np.float32
    return np.stack([x[..., :4].mean((1, 2, 3)), x[..., 4:].mean((1, 2, 3))], axis=1)


def sure(x):
    return np.tile(np.array([[1.0, 0.0]]), (len(x), 1))


def test_a_function_is_asked_for_what_it_gives(monkeypatch):
    batch = next(batches(SPLITS.train, SPLITS, 4))
    logits = open_external(Source(call=f"{__name__}:halves"), SPLITS)(batch).logits
    np.testing.assert_allclose(logits.numpy(), halves(batch.x.numpy()), rtol=1e-6)


def test_probabilities_become_their_logarithms():
    batch = next(batches(SPLITS.train, SPLITS, 2))
    logits = external_teacher(sure, SPLITS, "probabilities", "normalised", "it")(batch).logits
    assert logits.tolist() == [[0.0, pytest.approx(np.log(1e-8))]] * 2
    assert torch.isfinite(logits.half()).all()


@pytest.mark.parametrize(
    ("outputs", "gives", "message"),
    [
        (np.full((2, 2), np.nan), "logits", "not finite"),
        (np.array([[1.0, 2.0], [0.5, 0.5]]), "probabilities", "a row adds up to 3"),
        (np.array([[-0.5, 1.5], [0.5, 0.5]]), "probabilities", "the least value is -0.5"),
        (np.zeros((2, 5)), "logits", "2 classes"),
        (np.zeros((1, 2)), "logits", "for 2 samples"),
        (np.array([["a", "b"]] * 2), "logits", "not finite numbers"),
    ],
)
def test_outputs_that_can_not_be_learned_from_are_refused(outputs, gives, message):
    with pytest.raises(ModelError, match=message):
        check_answers(outputs, 2, SPLITS, gives, "it")


def test_a_function_that_fails_is_named():
    def broken(x):
        raise KeyError("weights")

    with pytest.raises(ModelError, match=r"it failed on inputs of shape .* KeyError: 'weights'"):
        external_teacher(broken, SPLITS, "logits", "normalised", "it")(next(batches(SPLITS.train, SPLITS, 2)))


def test_a_layout_that_fits_both_ways_is_the_formats_own():
    assert axes_for([3, 3, 3], (3, 3, 3), "it") == (0, 1, 2)
    assert axes_for([3, 3, 3], (3, 3, 3), "it", channels_last=True) == (1, 2, 0)
    assert axes_for([None, None, 3], (3, 8, 8), "it") == (1, 2, 0)
    assert axes_for([5], (5,), "it", channels_last=True) == (0,)


def test_a_fixed_batch_is_filled_up():
    sizes = []

    def run(piece):
        sizes.append(len(piece))
        return piece * 2

    assert in_batches(np.arange(7), 3, run).tolist() == [0, 2, 4, 6, 8, 10, 12] and sizes == [3, 3, 3]
