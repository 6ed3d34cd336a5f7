"""The section on distillation in the terminal, Markdown and HTML forms of the report."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support import builds

from edgekd.report.html import html
from edgekd.report.markdown import markdown
from edgekd.report.terminal import summary
from edgekd.results import AlongTheWay, Quantity, Report
from edgekd.tasks.classification import CLASSIFICATION
from edgekd.tasks.classification.scoring import standard_error
from edgekd.tasks.task import Score


def of_window(accuracy: float) -> Quantity:
    """Return the accuracy in a window of 50 samples."""
    return CLASSIFICATION.quantity(Score(accuracy, standard_error(accuracy, 50)), "a window")


def distilled(folder: Path, each: Sequence[float] = (), **changes: Any) -> Report:
    """Return the report of a good build with these changes to its distillation."""
    metrics = builds.metrics()
    metrics["distill"]["transfer"] = builds.transfer(**changes)
    if each:
        metrics["distill"] |= {"score": each[0], "each_score": list(each)}
    return builds.report(folder, metrics=metrics)


def test_the_section_on_distillation_opens_with_whether_it_paid(tmp_path: Path) -> None:
    page = markdown(distilled(tmp_path / "yes"))
    assert "\n\nDistillation paid: +2.0 against the same student alone (mean of 3 seeds" in page
    assert "Both were trained for 40 epochs from each of the seeds 0, 1, 2; the teacher's own training is not" in page
    assert "Distillation did not pay: -6" in markdown(distilled(tmp_path / "no", [90.0, 91.0, 91.5]))
    undecided = markdown(distilled(tmp_path / "unsure", [96.0, 97.0, 97.4]))
    assert "Whether distillation paid is not known: 0.0 against the same student alone" in undecided


def test_one_seed_says_that_it_is_one(tmp_path: Path) -> None:
    words = markdown(distilled(tmp_path, seeds=(0,), score=builds.transfer()["score"] | {"each": (98.9,)}))
    assert "One seed can't tell a gain from luck: --set distill.seeds=3" in words


def test_unequal_lengths_of_training_are_said(tmp_path: Path) -> None:
    words = markdown(distilled(tmp_path, baseline_epochs=80))
    assert "The student had 40 epochs under the teacher and 80 epochs alone" in words


def test_a_biased_teacher_is_named_in_all_three_forms(tmp_path: Path) -> None:
    report = distilled(tmp_path)
    sentence = "Class 9 inherits its teacher's mistakes: of 12, mostly taken for 3, the student repeats 75.0 %"
    assert sentence in markdown(report) and sentence.replace("'", "&#39;") in html(report)
    terminal = " ".join(summary(report).split())
    assert "teacher same answer as the teacher 98.1 % (alone 96.1 %); calibration error 1.1 %" in terminal
    assert "mistakes inherited in class 9" in terminal


@pytest.mark.parametrize("of_teacher", [70.0, None])
def test_what_a_scheme_measured_on_its_way_is_shown_and_a_stream_is_drawn(tmp_path: Path, of_teacher: float) -> None:
    teacher = None if of_teacher is None else of_window(of_teacher)
    row = AlongTheWay(what="window 1 of 2 <&|>", score=of_window(60.0), score_teacher=teacher)
    report = distilled(tmp_path, along_the_way=(row, row.model_copy(update={"what": "window 2 of 2"})))
    cells = "60.0 % ± 6.9 | " + ("" if of_teacher is None else "70.0 % ± 6.5") + " | a window |"
    assert f"| window 2 of 2 | {cells}" in markdown(report)
    assert ("Accuracy in each window of the stream" in html(report)) is (of_teacher is not None)
    assert "window 1 of 2 &lt;&amp;|&gt;" in html(report)


def test_a_teacher_that_could_not_be_asked_is_no_secret(tmp_path: Path) -> None:
    nothing = dict.fromkeys(("agreement", "agreement_alone", "score_teacher"))
    report = distilled(tmp_path, unknown="only stored answers exist", classes=(), measures=(), layers=(), **nothing)
    for words in (markdown(report), html(report)):
        assert "What else was passed on is not known: only stored answers exist." in words
    assert "same answer as the teacher" not in summary(report)


def test_of_many_classes_the_pages_show_those_that_agree_least(tmp_path: Path) -> None:
    row = builds.transfer()["classes"][1]
    classes = [
        {**row, "name": f"class{i:03}", "inherited": False, "agreement": builds.percent(50 + i / 2)} for i in range(100)
    ]
    report = distilled(tmp_path, classes=classes)
    page = markdown(report)
    assert "| class019 |" in page and "| class020 |" not in page and "80 more are in report.json" in page
    assert len(report.distillation.classes) == 100


def test_a_report_of_a_build_without_the_record_has_no_such_section(tmp_path: Path) -> None:
    metrics = builds.metrics()
    del metrics["distill"]["transfer"]
    report = builds.report(tmp_path, metrics=metrics)
    assert "## Distillation" not in markdown(report) and "What did the teacher pass on?" not in html(report)
