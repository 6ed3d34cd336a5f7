"""A format and a runtime are added by one row and one module each, and go through a whole build."""

import os
from pathlib import Path

import pytest

from edgekd.catalog.formats import FORMATS, Format
from edgekd.catalog.runtimes import RUNTIMES, Runtime
from edgekd.config.resolve import configure
from edgekd.pipeline.build import make
from edgekd.report import html, markdown, terminal
from edgekd.results import Report

TESTS = Path(__file__).parents[1]
SETTINGS = {
    "data.limit": 100,
    "teacher": {"model": "mlp", "hidden": [16], "epochs": 1},
    "student": {"model": "mlp", "hidden": [16]},
    "distill": {"epochs": 1, "baseline": False},
    "prune": {"steps": 1, "epochs": 1},
    "quantize": {"epochs": 1},
    "profile": {"rounds": 1, "seconds": 0.02},
    "export.formats": ["zipped"],
    "verify.runtimes": ["throw-away"],
    "device.runtime": "throw-away",
}


@pytest.fixture
def report(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Report:
    """Return the report of a build whose formats and runtimes all come from rows that this test adds."""
    path = os.pathsep.join([str(TESTS), os.environ.get("PYTHONPATH", "")])
    monkeypatch.setenv("PYTHONPATH", path)  # fresh processes time the files
    monkeypatch.chdir(tmp_path)
    row = Format("Zipped", "support.throw_away_format", "xnnpack", "throw-away", "int8, zipped", "numpy", "numpy")
    monkeypatch.setitem(FORMATS, "zipped", row)
    opens = "support.throw_away_runtime:ThrowAwayRunner"
    by_hand = "run {file} by hand"
    runtime = Runtime("The throw-away runtime", "zipped", opens, "xnnpack", "numpy", "numpy", by_hand)
    monkeypatch.setitem(RUNTIMES, "throw-away", runtime)
    return make(configure("rpi4", settings=SETTINGS), "out", "store", log=lambda line: None)


@pytest.mark.e2e
def test_a_format_and_a_runtime_go_through_export_verify_profile_and_report(report: Report, tmp_path: Path) -> None:
    files = {row.path: row.what for row in report.files}
    assert list(files) == ["model.zipped", "model_float.zipped", "student.pt"]
    assert files["model.zipped"] == "int8, zipped"
    assert {file.name for file in (tmp_path / "out").glob("*.zipped")} == {"model.zipped", "model_float.zipped"}
    assert report.stages[-1].size.value == (tmp_path / "out" / "model.zipped").stat().st_size
    verified = next(row for row in report.boundaries if row.name == "throw-away")
    assert verified.passed and verified.differing == 0 and verified.kernels == "Throw-away kernels"
    assert all(layer.differing == 0 for layer in verified.layers) and verified.layers
    timed = {row.file: row for row in report.latencies if row.latency.value is not None}
    assert set(timed) == {
        "model.zipped", "model_float.zipped", "stages/teacher.zipped", "stages/distill.zipped",
    }  # fmt: skip
    assert timed["model.zipped"].runtime == "Throw-away kernels"
    on_device = next(row for row in report.latencies if row.latency.value is None)
    assert on_device.runtime == "The throw-away runtime on Raspberry Pi 4 Model B"
    assert on_device.latency.remedy.endswith("run model.zipped by hand")
    for page in (terminal.summary(report), markdown.markdown(report), html.html(report)):
        assert "The throw-away runtime" in page and "model.zipped" in page


def test_a_runtime_that_is_in_no_row_is_refused_with_the_names_to_write() -> None:
    with pytest.raises(Exception, match="should be 'litert', 'onnxruntime', 'tflite-micro', 'litert-reference' or 'c'"):
        configure("rpi4", settings={"verify.runtimes": ["throw-away"]})
