"""The contents of the terminal table, the pages and report.json, and the format of their figures."""

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from support import builds

from edgekd.report import units
from edgekd.report.html import html
from edgekd.report.markdown import markdown
from edgekd.report.svg import log_ticks, shorten, ticks
from edgekd.report.terminal import summary
from edgekd.results import LayerDifference, Report
from edgekd.stages.report import command_line, run


def test_the_terminal_table_fits_and_ends_with_parity_limits_and_files(tmp_path: Path) -> None:
    lines = summary(builds.report(tmp_path), Path("build/rpi4")).splitlines()
    assert max(map(len, lines)) <= 100
    assert lines[0] == "rpi4 · digits · seed 0"
    labels = [line.split()[0] for line in lines if line[:1].strip()]
    assert labels[-4:] == ["parity", "limits", "device", "files"]
    assert "build/rpi4/model.tflite  model.onnx  report.json" in lines[-1]


def test_parity_counts_the_outputs_that_differ(tmp_path: Path) -> None:
    words = " ".join(summary(builds.report(tmp_path)).split())
    assert "trained simulation 0, LiteRT 0, onnxruntime 0, of 3,600 each" in words


def test_failed_parity_names_the_file_the_count_and_the_first_layer(tmp_path: Path) -> None:
    layer = LayerDifference(layer="blocks.1", operator="add", differing=5, outputs=512, largest_steps=1)
    boundaries = builds.boundaries(differing=12, largest_steps=2, passed=False, first_difference=layer)
    report = builds.report(tmp_path, boundaries=boundaries)
    assert not report.parity
    words = " ".join(summary(report).split())
    assert "FAILED: onnxruntime differs from reference as onnxruntime in 12 of 3,600 outputs, by up to 2 steps" in words
    assert "first at blocks.1 (add): 5 of 512, up to 1 step" in words


def test_the_page_needs_no_network_and_runs_no_script(tmp_path: Path) -> None:
    page = html(builds.report(tmp_path))
    assert not re.search(r"(src|href|url|@import)\s*[=(]?\s*[\"']?\s*https?:", page)
    assert "http://" not in page and "https://" not in page
    assert "<script" not in page and "<link" not in page
    assert page.count("<svg") == 5


def test_what_a_user_wrote_is_escaped(tmp_path: Path) -> None:
    report = builds.report(tmp_path, command="edgekd build --set 'x=<script>alert(1)</script>'")
    page = html(report)
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "a &lt;note&gt;" in page and "a &lt;note>" in markdown(report)


def test_the_plots_are_well_formed_and_keep_to_their_frames(tmp_path: Path) -> None:
    for drawing in re.findall(r"<svg.*?</svg>", html(builds.report(tmp_path)), re.S):
        root = ElementTree.fromstring(drawing)
        _, _, width, height = map(float, root.get("viewBox", "").split())
        for text in root.iter("text"):
            assert 0 <= float(text.get("x", "-1")) <= width
            assert 0 < float(text.get("y", "-1")) <= height


def test_every_markdown_row_has_as_many_cells_as_its_heading(tmp_path: Path) -> None:
    tables = [block for block in markdown(builds.report(tmp_path)).split("\n\n") if block.startswith("|")]
    assert len(tables) == 9
    for block in tables:
        assert len({len(re.findall(r"(?<!\\)\|", line)) for line in block.splitlines()}) == 1


def test_a_report_survives_its_json(tmp_path: Path) -> None:
    report = builds.report(tmp_path)
    assert Report.model_validate_json(report.model_dump_json()) == report


def test_notes_name_their_stage_and_training_its_processes(tmp_path: Path) -> None:
    report = builds.report(tmp_path)
    assert report.notes == ("distill: a <note>",)
    assert "distill 2 processes" in markdown(report)


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["/usr/bin/edgekd", "build", "--target", "rpi4"], "edgekd build --target rpi4"),
        (
            ["/x/edgekd/__main__.py", "build", "--set", "data.root=/data/mnist"],
            "edgekd build --set 'data.root=…/mnist'",
        ),
        (["/usr/bin/pytest", "-q"], "edgekd.build('rpi4')"),
    ],
)
def test_the_command_is_shown_without_the_folders_of_the_machine(typed: list[str], expected: str) -> None:
    assert command_line(typed, "rpi4") == expected


def test_the_stage_reads_its_inputs_and_writes_three_pages(tmp_path: Path) -> None:
    artifacts = {}
    for stage, metrics in builds.metrics().items():
        artifacts[stage] = tmp_path / stage
        artifacts[stage].mkdir()
        (artifacts[stage] / "metrics.json").write_text(json.dumps(metrics))
    builds.export_folder(artifacts["export"])
    (artifacts["verify"] / "boundaries.json").write_text(
        json.dumps([b.model_dump(mode="json") for b in builds.boundaries()])
    )
    artifacts["profile"], out = tmp_path / "profile", tmp_path / "out"
    artifacts["profile"].mkdir()
    out.mkdir()
    (artifacts["profile"] / "profile.json").write_text(builds.measurements().model_dump_json())
    assert run(builds.config(size_bytes=8_000), artifacts, out) == {
        "missed": ["size 9.8 kB is 1.8 kB over the 8 kB allowed"],
        "parity": True,
    }
    report = Report.model_validate_json((out / "report.json").read_text())
    assert [file.path for file in report.files] == [
        "model.tflite",
        "model.onnx",
        "model_float.tflite",
        "model_float.onnx",
    ]
    assert (out / "report.md").read_text() == markdown(report) and (out / "report.html").read_text() == html(report)
    assert str(tmp_path) not in (out / "report.json").read_text()


@pytest.mark.parametrize(
    ("value", "unit", "expected"),
    [
        (9_800, "B", "9.8 kB"),
        (4e6, "B", "4 MB"),
        (640, "B", "640 B"),
        (3_100_000, "MACs", "3.1 M"),
        (0.71, "x", "0.71x"),
        (0.045, "ms", "45 µs"),
        (12.34, "ms", "12.3 ms"),
        (98.61, "%", "98.6 %"),
        (0.6, "points", "0.6 points"),
    ],
)
def test_figures_are_written_as_people_read_them(value: float, unit: str, expected: str) -> None:
    assert units.amount(value, unit) == expected


def test_a_change_of_nothing_has_no_sign() -> None:
    assert units.signed(-0.04) == "0.0" and units.signed(-0.06) == "-0.1"


def test_axes_are_ticked_at_round_values() -> None:
    assert ticks(96.3, 100.2, 4) == [97.0, 98.0, 99.0, 100.0]
    assert log_ticks(9_000, 110_000) == [10_000, 20_000, 50_000, 100_000]


def test_a_long_name_keeps_its_end() -> None:
    assert shorten("backbone.blocks.10.depthwise.conv", 100) == "…depthwise.conv"
    assert shorten("conv", 100) == "conv"
