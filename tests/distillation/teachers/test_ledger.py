"""Tests of an external teacher in the report: unknown figures stay empty, with a hint at how to get them."""

import json

from support import builds

from edgekd.report.html import html
from edgekd.report.markdown import markdown
from edgekd.report.terminal import summary
from edgekd.stages.report import _all_metrics, compose
from edgekd.tasks.classification import WORDS


def outside(**teacher):
    """Return the metrics of a build for whose teacher no graph could be captured."""
    metrics = builds.metrics()
    metrics["teacher"] |= {"trained": False, "parameters": None, "members": [{"kind": "answers"}], **teacher}
    for what in ("macs", "parameters", "peak_ram_bytes"):
        metrics["export"][what]["teacher"] = None
    return metrics


def composed(folder, **teacher):
    export = builds.export_folder(folder)
    (export / "stages" / "teacher.tflite").unlink()
    changes = {"metrics": outside(**teacher), "boundaries": builds.boundaries()[1:]}
    return compose(
        builds.config(),
        WORDS,
        measurements=builds.measurements(),
        export=export,
        command="edgekd",
        created="now",
        **changes,
    )


def test_what_is_not_known_of_answers_alone_is_empty_and_says_what_would_fill_it(tmp_path):
    report = composed(tmp_path, score=None, score_remedy="test_logits in the file")
    teacher, distilled = report.stages[:2]
    assert teacher.score.value is None and "test_logits" in teacher.score.remedy
    assert distilled.change.value is None and "test_logits" in distilled.change.remedy
    assert teacher.size.value is None and teacher.parameters.value is None and teacher.macs.value is None
    assert teacher.because == "not trained here"
    drop = next(row for row in report.limits if row.limit == "score drop")
    assert drop.met is None


def test_the_pages_say_unknown_and_no_number(tmp_path):
    report = composed(tmp_path, score=None, score_remedy="test_logits in the file")
    assert "the teacher&#39;s is not known" in html(report) or "the teacher's is not known" in html(report)
    assert "unknown" in markdown(report) and "unknown" in summary(report)


def test_a_file_that_was_brought_along_has_its_size(tmp_path):
    teacher = composed(tmp_path, size_bytes=123_456).stages[0]
    assert teacher.size.value == 123_456 and teacher.size.source == "the file that was brought along"
    assert teacher.score.value == 99.2 and teacher.score.source.startswith("its answers")


def test_several_teachers_count_as_they_were_combined(tmp_path):
    metrics = {"score": 90.0, "combined": {"mean": {"score": 90.0}, "confidence": {"score": 91.5}}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert _all_metrics({"teacher": tmp_path}, "confidence")["teacher"]["score"] == 91.5
    assert composed(tmp_path, members=[{}, {}], trained=True).stages[0].because.startswith("2 teachers that answer as")
