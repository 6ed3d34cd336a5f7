"""A build that also exports C verifies each layer, times and reports it; limits apply to the TFLite file."""

from pathlib import Path

import pytest

from edgekd.catalog.runtimes import RUNTIMES, require
from edgekd.config.resolve import configure
from edgekd.errors import ConfigError, MissingExtraError, UnsupportedOperatorError
from edgekd.formats.estimate import forecast
from edgekd.models.mlp import MLP
from edgekd.pipeline.build import make
from edgekd.report import markdown

SETTINGS = {
    "data.limit": 100,
    "teacher": {"model": "mlp", "hidden": [16], "epochs": 1},
    "student": {"model": "mlp", "hidden": [16]},
    "distill": {"epochs": 1, "baseline": False},
    "prune": {"steps": 1, "epochs": 1},
    "quantize": {"epochs": 1},
    "profile": {"rounds": 1, "seconds": 0.02},
    "export.formats": ["tflite", "c"],
    "verify.runtimes": ["litert", "c"],
}


@pytest.mark.e2e
@pytest.mark.parametrize("kernels", ["tflm", "xnnpack"])
def test_a_build_exports_verifies_and_reports_c(kernels: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = {**SETTINGS, "quantize": {"epochs": 1, "kernels": kernels}}
    report = make(configure("cortex-m4", settings=settings), "out", "store", log=lambda line: None)
    files = {row.path: row.what for row in report.files}
    assert list(files) == ["model.tflite", "model.c", "model.h", "model_float.tflite", "student.pt"]
    assert files["model.c"] == "int8 in C99, for firmware" and "header" in files["model.h"]
    assert {file.name for file in (tmp_path / "out").iterdir()} >= set(files)
    verified = next(row for row in report.boundaries if row.name == "c")
    assert verified.passed and verified.differing == 0 and verified.against == f"reference ({kernels})"
    assert verified.layers and all(layer.differing == 0 for layer in verified.layers)
    timed = next(row for row in report.latencies if row.file == "model.c")
    assert timed.latency.value is not None and timed.runtime.startswith("C99 by ")
    assert report.stages[-1].size.source == "model.tflite"
    assert "model.c" in markdown.markdown(report)


def test_c_alone_is_refused_with_a_format_that_has_float_files() -> None:
    with pytest.raises(ConfigError, match="no float files") as refusal:
        configure("cortex-m4", settings={"export.formats": ["c"]})
    assert refusal.value.remedy == 'export.formats = ["tflite", "c"]'


def test_a_layer_without_a_c_kernel_is_refused_before_training() -> None:
    model = MLP(classes=3, input_shape=(1, 4, 4), hidden=[8])
    forecast(model, (1, 4, 4), formats=("tflite", "c"))
    forecast(model, (1, 4, 4), formats=("tflite",), float_layers=["*"])
    with pytest.raises(UnsupportedOperatorError, match="in float, which C has no kernels for"):
        forecast(model, (1, 4, 4), formats=("tflite", "c"), float_layers=["*"])


def test_a_host_without_a_compiler_is_told_what_to_type(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", "no-such-compiler")
    with pytest.raises(MissingExtraError, match="'no-such-compiler'") as refusal:
        require("c")
    assert "CC=" in str(refusal.value.remedy)


def test_c_follows_the_rounding_that_a_student_is_trained_to() -> None:
    assert RUNTIMES["c"].trained_to("xnnpack").kernels == "xnnpack"
    assert RUNTIMES["c"].trained_to("onnxruntime").kernels == "tflm"
    assert RUNTIMES["litert"].trained_to("tflm").kernels == "xnnpack"
