"""Host times are labelled, compared with the right file, and never stand for the device's."""

from pathlib import Path

import pytest
from support import builds

from edgekd.config import Device
from edgekd.devices.latency import Latency
from edgekd.stages import profile


def timed(export: Path, name: str, *rounds: float) -> Latency:
    return Latency(export / name, "LiteRT 2.3.0, 1 thread", rounds)


def test_the_ledgers_files_are_of_the_format_that_was_exported(tmp_path: Path) -> None:
    builds.export_folder(tmp_path)
    assert profile.stage_files(tmp_path)["distilled"] == tmp_path / "stages" / "distill.tflite"
    (tmp_path / "model.tflite").unlink()
    assert profile.stage_files(tmp_path)["int8"] == tmp_path / "model.onnx"


def test_each_file_is_timed_once(tmp_path: Path) -> None:
    builds.export_folder(tmp_path)
    files = profile.files_to_time(tmp_path, profile.stage_files(tmp_path))
    assert sorted(file.relative_to(tmp_path).as_posix() for file in files) == sorted(builds.SIZES)


def test_a_missing_teacher_is_left_out_and_its_ratio_says_why(tmp_path: Path) -> None:
    builds.export_folder(tmp_path)
    (tmp_path / "stages" / "teacher.tflite").unlink()
    stages = profile.stage_files(tmp_path)
    files = profile.files_to_time(tmp_path, stages)
    assert stages["teacher"] not in files
    ratios = profile.stage_latency(stages, [Latency(file, "LiteRT", (4.0, 5.0)) for file in files], "a CPU")
    assert ratios["teacher"].value is None and "teacher.tflite could not be written" in ratios["teacher"].remedy
    assert ratios["pruned"].value == 1.0


def test_int8_is_compared_with_the_float_file_of_its_own_format(tmp_path: Path) -> None:
    times = [
        timed(tmp_path, "model_float.tflite", 100.0, 110.0),
        timed(tmp_path, "model.tflite", 50.0, 55.0),
        timed(tmp_path, "model_float.onnx", 80.0, 80.0),
        timed(tmp_path, "model.onnx", 100.0, 100.0),
    ]
    rows = {row.file: row for row in profile.latency_rows(tmp_path, times, "a CPU")}
    assert rows["model.tflite"].ratio_to_float.value == 0.5
    assert rows["model.onnx"].ratio_to_float.value == 1.25
    assert rows["model_float.onnx"].ratio_to_float is None


def test_a_time_of_this_host_is_the_lowest_round_with_its_cpu_named(tmp_path: Path) -> None:
    (row,) = profile.latency_rows(tmp_path, [timed(tmp_path, "model_float.tflite", 120.0, 100.0, 130.0)], "AMD EPYC")
    assert (row.latency.value, row.latency.error) == (0.1, pytest.approx(0.03))
    assert row.latency.origin == "measured-host" and "AMD EPYC" in row.latency.source
    assert row.rounds_ms == (0.12, 0.1, 0.13)


@pytest.mark.parametrize(
    ("runtime", "missing", "words"),
    [
        ("litert", "", "benchmark_model --graph=model.tflite"),
        ("litert", "model.tflite", "copy model.onnx there and time it under onnxruntime"),
        ("onnxruntime", "", "copy model.onnx there and time it under onnxruntime"),
        ("tflite-micro", "", "time one inference of model.tflite in your firmware under TFLite Micro"),
    ],
)
def test_the_devices_own_time_is_empty_and_says_how_to_take_it(
    runtime: str, missing: str, words: str, tmp_path: Path
) -> None:
    """The row names another runtime's file if the format of the device's runtime was not exported."""
    builds.export_folder(tmp_path)
    if missing:
        (tmp_path / missing).unlink()
    latency = profile.device_latency(*profile.device_file(Device(runtime=runtime), tmp_path))
    assert latency.value is None and words in latency.remedy
