"""If a task's score is an error, lower is better in the verdicts, limits, plots and words of its report."""

import re
from pathlib import Path
from typing import Any

import pytest
from support import builds
from support.regression import UNIT, WORDS

from edgekd.report import plots, verdicts
from edgekd.report.html import html
from edgekd.report.markdown import markdown
from edgekd.report.terminal import summary
from edgekd.results import Boundary, Distillation, Quantity, Report, Spread

ERRORS = {"teacher": 0.40, "distill": 0.45, "prune": 0.60, "quantize": 0.61}


def score(value: float, error: float = 0.02) -> Quantity:
    """Return a mean absolute error as a quantity."""
    return Quantity(value=value, unit=UNIT, origin="measured-host", source="a test", error=error)


def spread(*values: float) -> Spread:
    """Return the spread of one score per seed."""
    return Spread(mean=score(sum(values) / len(values)), each=values)


def build(folder: Path, **errors: float) -> Report:
    """Return the report of a build with these errors; without its teacher the student's error is 0.5, of one seed."""
    metrics: dict[str, Any] = builds.metrics()
    for stage, value in {**ERRORS, **errors}.items():
        metrics[stage] |= {"score": value, "score_error": 0.02}
    metrics["distill"] |= {"baseline_score": 0.50, "baseline_score_error": 0.02, "each_score": [], "seeds": [0]}
    metrics["distill"]["transfer"] = Distillation(
        scheme="offline", losses=("squared",), epochs=40, baseline_epochs=40, seeds=(0,), samples=360,
        score=spread(0.45), score_alone=spread(0.5), score_teacher=score(0.4), agreement=spread(0.1),
    ).model_dump(mode="json")  # fmt: skip
    rows = [Boundary(name=row.name, score=score({**ERRORS, **errors}["quantize"])) for row in builds.boundaries()]
    return builds.report(folder, WORDS, metrics=metrics, boundaries=rows)


def test_a_student_with_a_smaller_error_than_alone_paid(tmp_path: Path) -> None:
    _, distilled, *_ = build(tmp_path / "yes").stages
    assert distilled.paid == "yes" and distilled.because.startswith("-0.05 hundreds against the same student alone")
    _, distilled, *_ = build(tmp_path / "no", distill=0.60).stages
    assert distilled.paid == "no" and "+0.1 hundreds" in distilled.because and "better without" in distilled.because
    _, distilled, *_ = build(tmp_path / "noise", distill=0.51).stages
    assert distilled.paid == "unknown" and "within noise (standard error 0.0283 on 360 samples" in distilled.because


def test_over_several_seeds_fewer_errors_are_better() -> None:
    distilled, undistilled = (0.40, 0.41, 0.42), (0.50, 0.52, 0.51)
    paid, because = verdicts.distilled(WORDS, score(0.4), score(0.5), 360, each=distilled, each_alone=undistilled)
    assert paid == "yes" and because.startswith("-0.1 hundreds") and "better in 3 of them" in because
    paid, because = verdicts.distilled(WORDS, score(0.5), score(0.4), 360, each=undistilled, each_alone=distilled)
    assert paid == "no" and "worse in 3 of them" in because


def test_a_larger_error_is_a_price_and_a_smaller_one_a_gain(tmp_path: Path) -> None:
    *_, pruned, int8 = build(tmp_path / "worse").stages
    assert pruned.paid == "partly" and "costs 0.15 hundreds (standard error 0.0283)" in pruned.because
    assert pruned.change is not None and pruned.change.value == pytest.approx(0.15)
    assert "costs" not in int8.because  # 0.01 is within noise
    *_, pruned, _ = build(tmp_path / "better", prune=0.30).stages
    assert pruned.paid == "yes" and "gains 0.15 hundreds" in pruned.because


def test_the_limit_is_on_how_far_the_error_rises(tmp_path: Path) -> None:
    row = next(row for row in build(tmp_path / "fits").limits if row.limit == "score drop")
    assert row.met and row.reached.value == pytest.approx(0.21) and row.reached.source == "int8 less teacher"
    report = build(tmp_path / "misses", quantize=1.5)
    assert [row.miss for row in report.missed] == [
        "mean absolute error rise 1.1 hundreds is 0.1 hundreds over the 1 hundreds allowed"
    ]
    assert "MISSED: mean absolute error rise 1.1 hundreds" in " ".join(summary(report).split())
    better = build(tmp_path / "better", quantize=0.1)
    assert better.missed == () and "mean absolute error rise -0.3 hundreds of 1 hundreds" in " ".join(
        summary(better).split()
    )


def test_training_that_made_the_error_smaller_is_told_with_its_sign() -> None:
    verdict = verdicts.Verdict("yes", "smaller and faster")
    assert verdicts.by_training(WORDS, verdict, ptq=score(0.7), qat=score(0.6)).because.endswith(
        "; QAT -0.1 hundreds over PTQ"
    )


def test_the_red_line_is_above_the_teacher_and_no_axis_goes_below_zero(tmp_path: Path) -> None:
    report = build(tmp_path)
    drawing = str(plots.score_against_size(report))
    line = re.search(r'class="limit"[^>]*y1="([\d.]+)"', drawing)
    points = [float(y) for y in re.findall(r'<circle class="point [^>]*cy="([\d.]+)"', drawing)]
    assert line is not None and float(line[1]) < min(points)  # an SVG's y grows downwards
    assert "the highest mean absolute error that the target allows" in html(report)
    assert not re.search(r">-[\d.]+ hundreds<", drawing)


def test_no_page_speaks_of_another_task(tmp_path: Path) -> None:
    report = build(tmp_path)
    for page in (summary(report), markdown(report), html(report)):
        assert "mean absolute error" in page and "hundreds" in page
        assert not re.search(r"accurac|top-1|\d points?\b|class inherits|[Cc]alibration error", page)
    assert "mean difference from the teacher" in markdown(report) and "| mean difference |" in markdown(report)
