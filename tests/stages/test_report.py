"""The report says what each stage did, whether it paid, and what it does not know."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import builds
import pytest

from edgekd.figures import AlongTheWay, Figure, LayerDifference, Report, accuracy_on
from edgekd.reporting import limits, units, verdicts
from edgekd.reporting.svg import log_ticks, shorten, ticks
from edgekd.stages.report import command_line, html, markdown, run, summary


def row(report: Report, stage: str):
    return next(row for row in report.stages if row.stage == stage)


def test_a_good_build_pays_at_every_stage(tmp_path: Path) -> None:
    report = builds.report(tmp_path)
    assert [found.paid for found in report.stages] == [None, "yes", "yes", "yes"]
    assert row(report, "distilled").because == (
        "+2.0 against the same student alone (mean of 3 seeds, standard error 0.23, better in 3 of them)"
    )


def test_changes_are_points_against_the_row_before(tmp_path: Path) -> None:
    report = builds.report(tmp_path)
    assert [found.change and round(found.change.value, 1) for found in report.stages] == [None, -0.3, -0.2, -0.1]


def test_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    report = builds.report(tmp_path)
    assert [found.size.value for found in report.stages] == [412_000, 61_200, 33_000, 9_800]
    assert row(report, "teacher").size.source == "stages/teacher.tflite"


def test_a_teacher_that_could_not_be_captured_has_the_size_of_its_weights_and_unknown_macs(tmp_path: Path) -> None:
    metrics = builds.metrics()
    for costs in ("macs", "parameters", "peak_ram_bytes"):
        metrics["export"][costs]["teacher"] = None
    export = builds.exported(tmp_path)
    (export / "stages" / "teacher.tflite").unlink()
    teacher = row(builds.report(tmp_path / "other", metrics=metrics, export=export), "teacher")
    assert teacher.size.value == 4 * 103_000
    assert teacher.macs.value is None and "could not be captured" in teacher.macs.remedy


def test_a_student_that_is_better_without_its_teacher_did_not_pay() -> None:
    paid, because = verdicts.distilled(90.0, 96.0, samples=360)
    assert paid == "no" and "-6.0" in because and "better without this teacher" in because


def test_a_gain_within_one_standard_error_is_noise() -> None:
    paid, because = verdicts.distilled(97.0, 96.5, samples=360)
    assert paid == "unknown" and "within noise" in because


@pytest.mark.parametrize(
    ("gains", "paid", "words"),
    [
        (
            (1.0, 2.0, 3.0),
            "yes",
            "+2.0 against the same student alone (mean of 3 seeds, standard error 0.58",
        ),
        ((1.0, -1.0, 0.5), "unknown", "no difference that 3 seeds can show"),
        ((0.0, 0.0), "unknown", "no difference that 2 seeds can show"),
        ((-1.0, -2.0, 0.1), "no", "worse in 2 of them): the student is better without this teacher"),
    ],
)
def test_over_several_seeds_the_pairs_decide(gains: tuple[float, ...], paid: str, words: str) -> None:
    alone = [90.0] * len(gains)
    each = [90.0 + gain for gain in gains]
    verdict = verdicts.distilled(each[0], 90.0, samples=360, each=each, each_alone=alone)
    assert verdict.paid == paid and words in verdict.because


def distilled(folder: Path, each: Sequence[float] = (), **changes: Any) -> Report:
    """A report whose distillation differs so from that of a good build."""
    metrics = builds.metrics()
    metrics["distill"]["transfer"] = builds.transferred(**changes)
    if each:
        metrics["distill"] |= {"accuracy": each[0], "each_accuracy": list(each)}
    return builds.report(folder, metrics=metrics)


def test_the_section_on_distillation_opens_with_whether_it_paid(tmp_path: Path) -> None:
    told = markdown(distilled(tmp_path / "yes"))
    assert "\n\nDistillation paid: +2.0 against the same student alone (mean of 3 seeds" in told
    assert "Both were trained for 40 epochs from each of the seeds 0, 1, 2; the teacher's own training is not" in told
    assert "Distillation did not pay: -6" in markdown(distilled(tmp_path / "no", [90.0, 91.0, 91.5]))
    unsure = markdown(distilled(tmp_path / "unsure", [96.0, 97.0, 97.4]))
    assert "Whether distillation paid is not known: 0.0 against the same student alone" in unsure


def test_one_seed_says_that_it_is_one(tmp_path: Path) -> None:
    words = markdown(distilled(tmp_path, seeds=(0,), accuracy=builds.transferred()["accuracy"] | {"each": (98.9,)}))
    assert "One seed can't tell a gain from luck: --set distill.seeds=3" in words


def test_unequal_lengths_of_training_are_said(tmp_path: Path) -> None:
    words = markdown(distilled(tmp_path, baseline_epochs=80))
    assert "The student had 40 epochs under the teacher and 80 epochs alone" in words


def test_a_biased_teacher_is_named_in_all_three_forms(tmp_path: Path) -> None:
    report = distilled(tmp_path)
    told = "Class 9 inherits its teacher's mistakes: of 12, mostly taken for 3, the student repeats 75.0 %"
    assert told in markdown(report) and told.replace("'", "&#39;") in html(report)
    short = " ".join(summary(report).split())
    assert "teacher same answer as the teacher 98.1 % (alone 96.1 %); calibration error 1.1 %" in short
    assert "mistakes inherited in class 9" in short


@pytest.mark.parametrize("of_teacher", [70.0, None])
def test_what_a_scheme_measured_on_its_way_is_shown_and_a_stream_is_drawn(tmp_path: Path, of_teacher: float) -> None:
    teacher = None if of_teacher is None else accuracy_on(of_teacher, 50, "a window")
    row = AlongTheWay(what="window 1 of 2 <&|>", accuracy=accuracy_on(60.0, 50, "a window"), accuracy_teacher=teacher)
    report = distilled(tmp_path, along_the_way=(row, row.model_copy(update={"what": "window 2 of 2"})))
    cells = "60.0 % ± 6.9 | " + ("" if of_teacher is None else "70.0 % ± 6.5") + " | a window |"
    assert f"| window 2 of 2 | {cells}" in markdown(report)
    assert ("Accuracy in each window of the stream" in html(report)) is (of_teacher is not None)
    assert "window 1 of 2 &lt;&amp;|&gt;" in html(report)


def test_a_teacher_that_could_not_be_asked_is_no_secret(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("agreement", "agreement_alone", "repeated", "consistency", "accuracy_teacher"))
    report = distilled(tmp_path, unknown="only stored answers exist", classes=(), layers=(), **nothing)
    for words in (markdown(report), html(report)):
        assert "What else was passed on is not known: only stored answers exist." in words
    assert "same answer as the teacher" not in summary(report)


def test_of_many_classes_the_pages_show_those_that_agree_least(tmp_path: Path) -> None:
    one = builds.transferred()["classes"][1]
    many = [
        {**one, "name": f"class{i:03}", "inherited": False, "agreement": builds.accuracy(50 + i / 2)}
        for i in range(100)
    ]
    report = distilled(tmp_path, classes=many)
    told = markdown(report)
    assert "| class019 |" in told and "| class020 |" not in told and "80 more are in report.json" in told
    assert len(report.distillation.classes) == 100


def test_a_report_of_a_build_without_the_record_has_no_such_section(tmp_path: Path) -> None:
    metrics = builds.metrics()
    del metrics["distill"]["transfer"]
    report = builds.report(tmp_path, metrics=metrics)
    assert "## Distillation" not in markdown(report) and "What did the teacher pass on?" not in html(report)


def test_without_a_baseline_the_ledger_says_how_to_get_one() -> None:
    assert verdicts.distilled(97.0, None, samples=360).because.endswith("--set distill.baseline=true")


def test_the_standard_error_of_half_right_on_a_hundred_samples_is_five_points() -> None:
    assert verdicts.accuracy_error(50.0, 100) == pytest.approx(5.0)
    assert verdicts.difference_error(50.0, 50.0, 100) == pytest.approx(5.0 * 2**0.5)


@pytest.mark.parametrize(
    ("latency", "paid", "words"),
    [
        (builds.host(0.71, error=0.1), "yes", "smaller and faster"),
        (builds.host(1.02, error=0.05), "partly", "smaller yes, faster no: 1.02x the distilled student's time"),
        (builds.host(1.3, error=0.1), "partly", "smaller yes, speed no: slower, 1.30x"),
        (Figure(unit="x", remedy="no file"), "unknown", "speed unknown: no file"),
    ],
)
def test_pruning_that_saves_size_but_no_time_says_so(latency: Figure, paid: str, words: str) -> None:
    verdict = verdicts.pruned(
        skipped=False, macs_ratio=0.44, size_ratio=0.54, change=-0.2, samples_error=0.8, latency=latency
    )
    assert verdict.paid == paid
    assert words in verdict.because and "54 % of the size and 44 % of the MACs" in verdict.because


def test_a_loss_beyond_noise_is_named_as_the_price() -> None:
    verdict = verdicts.pruned(
        skipped=False, macs_ratio=0.4, size_ratio=0.5, change=-3.1, samples_error=0.8, latency=builds.host(0.5)
    )
    assert verdict.paid == "partly" and "costs 3.1 points" in verdict.because


def test_pruning_that_was_skipped_says_so(tmp_path: Path) -> None:
    metrics = builds.metrics()
    metrics["prune"]["skipped"] = True
    found = row(builds.report(tmp_path, metrics=metrics), "pruned")
    assert found.paid == "skipped" and "nothing was cut" in found.because


def test_int8_that_is_slower_than_float_says_so(tmp_path: Path) -> None:
    found = row(builds.report(tmp_path, measured=builds.measured(int8=builds.host(1.21))), "int8")
    assert found.paid == "partly"
    assert "size yes, speed no: 3.4x smaller, slower than float here, 1.21x of float's time" in found.because


def test_int8_that_is_neither_smaller_nor_faster_did_not_pay() -> None:
    verdict = verdicts.int8(size_ratio=1.1, change=0.0, samples_error=0.5, latency=builds.host(1.2))
    assert verdict.paid == "no" and "110 % of the float file" in verdict.because


def test_a_second_format_that_is_slower_in_int8_is_not_hidden_by_the_first() -> None:
    good = verdicts.Verdict("yes", "3.4x smaller and faster")
    paid, because = verdicts.in_other_formats(good, {"model.onnx": builds.host(2.23, error=0.9)})
    assert paid == "partly" and because.endswith("but model.onnx is slower than its float file here, 2.23x")
    assert verdicts.in_other_formats(good, {"model.onnx": builds.host(0.8)}) == good


def test_every_latency_of_this_host_is_labelled(tmp_path: Path) -> None:
    report = builds.report(tmp_path)
    figures = [found.latency for found in report.latencies] + [found.latency_ratio for found in report.stages]
    assert {figure.origin for figure in figures if figure.value is not None} == {"measured-host"}
    assert (
        "measured-host" in summary(report) and "measured-host" in markdown(report) and "measured-host" in html(report)
    )


def test_a_limit_on_an_unmeasured_latency_is_neither_met_nor_missed(tmp_path: Path) -> None:
    report = builds.report(tmp_path)
    latency = next(found for found in report.limits if found.limit == "latency")
    assert latency.met is None and latency.reached.remedy
    assert report.missed == ()


def test_a_missed_limit_says_by_how_much(tmp_path: Path) -> None:
    size = Figure(value=9_800, unit="B", origin="counted")
    drop = Figure(value=1.25, unit="points", origin="measured-host")
    rows = limits.rows(
        builds.config(size_bytes=8_000, peak_ram_bytes=None, latency_ms=None).limits,
        size=size,
        peak_ram=size,
        latency=size,
        accuracy_drop=drop,
    )
    assert [found.miss for found in rows] == [
        "size 9.8 kB is 1.8 kB over the 8 kB allowed",
        "accuracy drop 1.25 points is 0.25 points over the 1 point allowed",
    ]


def test_a_limit_that_is_reached_exactly_is_met() -> None:
    drop = Figure(value=99.2 - 98.2, unit="points", origin="measured-host")  # 1.0000000000000142
    empty = Figure(unit="B", remedy="none")
    found = limits.rows(
        builds.config(size_bytes=None, peak_ram_bytes=None, latency_ms=None).limits,
        size=empty,
        peak_ram=empty,
        latency=empty,
        accuracy_drop=drop,
    )
    assert found[0].met is True


def test_the_end_of_a_build_says_that_the_device_was_not_measured_and_how_to(tmp_path: Path) -> None:
    words = " ".join(summary(builds.report(tmp_path)).split())
    assert "latency unknown (50 ms allowed)" in words
    assert "device latency of model.tflite unknown: edgekd does not measure devices yet" in words


def test_limits_that_are_not_set_have_no_row(tmp_path: Path) -> None:
    assert "flash" not in [found.limit for found in builds.report(tmp_path).limits]


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
    broken = builds.boundaries(differing=12, largest_steps=2, passed=False, first_difference=layer)
    report = builds.report(tmp_path, boundaries=broken)
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
    ("typed", "shown"),
    [
        (["/usr/bin/edgekd", "build", "--target", "rpi4"], "edgekd build --target rpi4"),
        (
            ["/x/edgekd/__main__.py", "build", "--set", "data.root=/home/me/mnist"],
            "edgekd build --set 'data.root=…/mnist'",
        ),
        (["/usr/bin/pytest", "-q"], "edgekd.build('rpi4')"),
    ],
)
def test_the_command_is_shown_without_the_folders_of_the_machine(typed: list[str], shown: str) -> None:
    assert command_line(typed, "rpi4") == shown


def test_the_stage_reads_its_inputs_and_writes_three_pages(tmp_path: Path) -> None:
    read = {}
    for stage, metrics in builds.metrics().items():
        read[stage] = tmp_path / stage
        read[stage].mkdir()
        (read[stage] / "metrics.json").write_text(json.dumps(metrics))
    builds.exported(read["export"])
    (read["verify"] / "boundaries.json").write_text(
        json.dumps([b.model_dump(mode="json") for b in builds.boundaries()])
    )
    read["profile"], out = tmp_path / "profile", tmp_path / "out"
    read["profile"].mkdir()
    out.mkdir()
    (read["profile"] / "profile.json").write_text(builds.measured().model_dump_json())
    assert run(builds.config(size_bytes=8_000), read, out) == {
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
    ("value", "unit", "shown"),
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
def test_figures_are_written_as_people_read_them(value: float, unit: str, shown: str) -> None:
    assert units.amount(value, unit) == shown


def test_a_change_of_nothing_has_no_sign() -> None:
    assert units.signed(-0.04) == "0.0" and units.signed(-0.06) == "-0.1"


def test_axes_are_ticked_at_round_values() -> None:
    assert ticks(96.3, 100.2, 4) == [97.0, 98.0, 99.0, 100.0]
    assert log_ticks(9_000, 110_000) == [10_000, 20_000, 50_000, 100_000]


def test_a_long_name_keeps_its_end() -> None:
    assert shorten("backbone.blocks.10.depthwise.conv", 100) == "…depthwise.conv"
    assert shorten("conv", 100) == "conv"


def test_the_int8_row_says_what_training_was_worth() -> None:
    verdict = verdicts.int8(size_ratio=0.25, change=-0.1, samples_error=0.5, latency=builds.host(0.6))
    told = [
        verdicts.by_training(verdict, ptq=ptq, qat=qat, samples=10_000).because.removeprefix(verdict.because)
        for ptq, qat in ((90.0, 91.2), (91.1, 91.2), (None, 91.2), (90.0, None))
    ]
    assert told == ["; QAT +1.2 over PTQ", "; QAT +0.1 over PTQ, within noise", "", "; calibrated, not trained (PTQ)"]
