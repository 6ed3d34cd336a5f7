"""The ledger says what each stage did and whether it paid."""

from pathlib import Path

import pytest
from support import builds

from edgekd.report import verdicts
from edgekd.results import Quantity, Report
from edgekd.tasks.classification import WORDS
from edgekd.tasks.classification.scoring import standard_error


def score(value: float, samples: int = 360) -> Quantity:
    """Return an accuracy with its standard error on this number of samples."""
    error = standard_error(value, samples)
    return Quantity(value=value, unit="%", origin="measured-host", source="a test", error=error)


def row(report: Report, stage: str):
    return next(row for row in report.stages if row.stage == stage)


def test_a_good_build_pays_at_every_stage(tmp_path: Path) -> None:
    report = builds.report(tmp_path)
    assert [stage.paid for stage in report.stages] == [None, "yes", "yes", "yes"]
    assert row(report, "distilled").because == (
        "+2.0 against the same student alone (mean of 3 seeds, standard error 0.23, better in 3 of them)"
    )


def test_changes_are_points_against_the_row_before(tmp_path: Path) -> None:
    report = builds.report(tmp_path)
    assert [stage.change and round(stage.change.value, 1) for stage in report.stages] == [None, -0.3, -0.2, -0.1]


def test_sizes_are_those_of_the_files(tmp_path: Path) -> None:
    report = builds.report(tmp_path)
    assert [stage.size.value for stage in report.stages] == [412_000, 61_200, 33_000, 9_800]
    assert row(report, "teacher").size.source == "stages/teacher.tflite"


def test_a_teacher_that_could_not_be_captured_has_the_size_of_its_weights_and_unknown_macs(tmp_path: Path) -> None:
    metrics = builds.metrics()
    for costs in ("macs", "parameters", "peak_ram_bytes"):
        metrics["export"][costs]["teacher"] = None
    export = builds.export_folder(tmp_path)
    (export / "stages" / "teacher.tflite").unlink()
    teacher = row(builds.report(tmp_path / "other", metrics=metrics, export=export), "teacher")
    assert teacher.size.value == 4 * 103_000
    assert teacher.macs.value is None and "could not be captured" in teacher.macs.remedy


def test_a_student_that_is_better_without_its_teacher_did_not_pay() -> None:
    paid, because = verdicts.distilled(WORDS, score(90.0), score(96.0), samples=360)
    assert paid == "no" and "-6.0" in because and "better without this teacher" in because


def test_a_gain_within_one_standard_error_is_noise() -> None:
    paid, because = verdicts.distilled(WORDS, score(97.0), score(96.5), samples=360)
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
    undistilled = [90.0] * len(gains)
    distilled = [90.0 + gain for gain in gains]
    verdict = verdicts.distilled(
        WORDS, score(distilled[0]), score(90.0), samples=360, each=distilled, each_alone=undistilled
    )
    assert verdict.paid == paid and words in verdict.because


def test_without_a_baseline_the_ledger_says_how_to_get_one() -> None:
    assert verdicts.distilled(WORDS, score(97.0), None, samples=360).because.endswith("--set distill.baseline=true")


def test_the_errors_of_two_scores_add_up_as_if_they_were_independent() -> None:
    assert verdicts.difference_error(score(50.0, 100), score(50.0, 100)) == pytest.approx(5.0 * 2**0.5)


@pytest.mark.parametrize(
    ("latency", "paid", "words"),
    [
        (builds.host(0.71, error=0.1), "yes", "smaller and faster"),
        (builds.host(1.02, error=0.05), "partly", "smaller yes, faster no: 1.02x the distilled student's time"),
        (builds.host(1.3, error=0.1), "partly", "smaller yes, speed no: slower, 1.30x"),
        (Quantity(unit="x", remedy="no file"), "unknown", "speed unknown: no file"),
    ],
)
def test_pruning_that_saves_size_but_no_time_says_so(latency: Quantity, paid: str, words: str) -> None:
    verdict = verdicts.pruned(
        WORDS, skipped=False, macs_ratio=0.44, size_ratio=0.54, gain=-0.2, samples_error=0.8, latency=latency
    )
    assert verdict.paid == paid
    assert words in verdict.because and "54 % of the size and 44 % of the MACs" in verdict.because


def test_a_loss_beyond_noise_is_named_as_the_price() -> None:
    verdict = verdicts.pruned(
        WORDS, skipped=False, macs_ratio=0.4, size_ratio=0.5, gain=-3.1, samples_error=0.8, latency=builds.host(0.5)
    )
    assert verdict.paid == "partly" and "costs 3.1 points" in verdict.because


def test_pruning_that_was_skipped_says_so(tmp_path: Path) -> None:
    metrics = builds.metrics()
    metrics["prune"]["skipped"] = True
    pruned = row(builds.report(tmp_path, metrics=metrics), "pruned")
    assert pruned.paid == "skipped" and "nothing was cut" in pruned.because


def test_int8_that_is_slower_than_float_says_so(tmp_path: Path) -> None:
    int8 = row(builds.report(tmp_path, measurements=builds.measurements(int8=builds.host(1.21))), "int8")
    assert int8.paid == "partly"
    assert "size yes, speed no: 3.4x smaller, slower than float here, 1.21x of float's time" in int8.because


def test_int8_that_is_neither_smaller_nor_faster_did_not_pay() -> None:
    verdict = verdicts.int8(WORDS, size_ratio=1.1, gain=0.0, samples_error=0.5, latency=builds.host(1.2))
    assert verdict.paid == "no" and "110 % of the float file" in verdict.because


def test_a_second_format_that_is_slower_in_int8_is_not_hidden_by_the_first() -> None:
    good = verdicts.Verdict("yes", "3.4x smaller and faster")
    paid, because = verdicts.in_other_formats(good, {"model.onnx": builds.host(2.23, error=0.9)})
    assert paid == "partly" and because.endswith("but model.onnx is slower than its float file here, 2.23x")
    assert verdicts.in_other_formats(good, {"model.onnx": builds.host(0.8)}) == good


def test_the_int8_row_says_what_training_was_worth() -> None:
    verdict = verdicts.int8(WORDS, size_ratio=0.25, gain=-0.1, samples_error=0.5, latency=builds.host(0.6))
    remarks = [
        verdicts.by_training(
            WORDS, verdict, ptq=ptq and score(ptq, 10_000), qat=qat and score(qat, 10_000)
        ).because.removeprefix(verdict.because)
        for ptq, qat in ((90.0, 91.2), (91.1, 91.2), (None, 91.2), (90.0, None))
    ]
    assert remarks == [
        "; QAT +1.2 over PTQ",
        "; QAT +0.1 over PTQ, within noise",
        "",
        "; calibrated, not trained (PTQ)",
    ]
