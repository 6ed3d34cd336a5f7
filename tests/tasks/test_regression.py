"""A task needs one module and one catalog row: an unlisted regression goes through all stages of a real build."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from support.regression import REGRESSION, ROW, UNIT, diabetes

from edgekd import catalog
from edgekd.config import Config
from edgekd.config.resolve import configure
from edgekd.data.splits import Splits, open_task
from edgekd.errors import ConfigError, DataError, EdgekdError
from edgekd.pipeline import check
from edgekd.pipeline.build import judge, make
from edgekd.report.html import html
from edgekd.report.markdown import markdown
from edgekd.report.terminal import summary
from edgekd.results import Report
from edgekd.tuning.tune import summary as summed_up
from edgekd.tuning.tune import tune

SQUARED = [{"name": "support.regression:SquaredError"}]
SETTINGS: dict[str, Any] = {
    "task": "regression",
    "data": {"name": "support.regression:diabetes"},
    "teacher": {"model": "mlp", "hidden": [32, 32], "epochs": 40, "optimizer": "adamw", "learning_rate": 0.01},
    "student": {"model": "mlp", "hidden": [16, 8]},
    "distill": {"epochs": 40, "optimizer": "adamw", "learning_rate": 0.01, "losses": SQUARED},
    "prune": {"steps": 1, "epochs": 3},
    "quantize": {"epochs": 3},
    "profile": {"rounds": 1, "seconds": 0.02},
    "limits.score_drop": 0.5,
}


def config(**settings: Any) -> Config:
    """Return the config of a build for rpi4; `teacher__members` is the setting teacher.members."""
    changes = {name.replace("__", "."): value for name, value in settings.items()}
    return configure("rpi4", settings={**SETTINGS, **changes})


@pytest.fixture(autouse=True)
def row(monkeypatch: pytest.MonkeyPatch) -> None:
    """Add the one catalog row that the task needs outside of its module."""
    for name, entry in ROW.items():
        monkeypatch.setitem(catalog.TASKS, name, entry)


@pytest.fixture(scope="module")
def log() -> list[str]:
    """Return the list that collects the log lines of the build."""
    return []


@pytest.fixture(scope="module")
def report(log: list[str], tmp_path_factory: pytest.TempPathFactory) -> Report:
    """Return the report of a build through all stages; its files are in `out`, and its artifacts in `store`."""
    folder = tmp_path_factory.mktemp("regression")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name, entry in ROW.items():
            patch.setitem(catalog.TASKS, name, entry)
        result = make(config(), folder / "out", folder / "store", log=log.append)
    return result.model_copy(update={"data": {**result.data, "folder": str(folder)}})


def folder_of(report: Report) -> Path:
    return Path(report.data["folder"])


def stored(report: Report, stage: str) -> Path:
    """Return the folder of a stage's only artifact."""
    (folder,) = (folder_of(report) / "store" / stage).iterdir()
    return folder


@pytest.mark.e2e
def test_every_stage_ran_and_every_score_is_an_error_in_the_targets_unit(report: Report, log: list[str]) -> None:
    stages = [line.split()[0] for line in log if not line.startswith((" ", "rpi4"))]
    assert stages == [
        "data", "teacher", "answers", "distill", "prune", "quantize", "export", "verify", "profile", "report",
    ]  # fmt: skip
    assert report.task == REGRESSION.words and report.schema_version == 2
    for row in (*report.stages, *report.boundaries):
        assert row.score.unit == UNIT and row.score.value is not None and 0 < row.score.value < 1.5
    assert next(line for line in log if line.startswith("teacher")).rstrip().endswith(f" {UNIT}")
    splits = Splits.load(stored(report, "data"))
    assert splits.task.name == "regression" and splits.classes == () and splits.answer_shape == (1,)
    assert splits.train.y.shape == (299, 1) and splits.train.y.dtype == np.float32


@pytest.mark.e2e
def test_the_teacher_knows_more_than_one_answer_to_everything_and_the_student_learnt_it(report: Report) -> None:
    y = Splits.load(stored(report, "data")).test.y
    chance = REGRESSION.scoring.chance((), y)
    assert all(row.score.value < 0.9 * chance for row in report.stages)
    assert report.distillation is not None and report.distillation.classes == ()
    assert report.distillation.losses == ("support.regression:SquaredError",)
    (measure,) = report.distillation.measures
    assert measure.student is not None and measure.student.mean.value > report.distillation.score.mean.value
    assert report.distillation.layers


@pytest.mark.e2e
def test_verdicts_and_limits_count_a_smaller_error_as_better(report: Report) -> None:
    teacher, distilled, pruned, int8 = report.stages
    gain = report.distillation.gain
    assert gain.unit == UNIT
    assert gain.value == pytest.approx(
        report.distillation.score_alone.mean.value - report.distillation.score.mean.value
    )
    assert {"yes": gain.value > 0, "no": gain.value < 0, "unknown": True}[distilled.paid]
    assert pruned.change.value == pytest.approx(pruned.score.value - distilled.score.value)
    assert ("costs" in pruned.because) <= (pruned.change.value > 0)
    (drop,) = (row for row in report.limits if row.limit == "score drop")
    assert drop.reached.value == pytest.approx(int8.score.value - teacher.score.value)
    assert drop.met is (drop.reached.value <= 0.5) and drop.reached.unit == drop.allowed.unit == UNIT
    judge(report)


@pytest.mark.e2e
def test_what_was_trained_is_what_is_shipped(report: Report) -> None:
    proof = {row.name: row for row in report.boundaries if row.exact and row.outputs}
    assert {"simulation", "litert", "onnxruntime"} <= set(proof)
    assert all(row.differing == 0 and row.passed and row.outputs == 90 for row in proof.values())
    assert all(row.agreement.value == 0.0 and row.agreement.unit == UNIT for row in proof.values())
    assert len({row.score.value for row in proof.values()}) == 1


@pytest.mark.e2e
def test_all_three_forms_of_the_report_speak_of_this_task_alone(report: Report) -> None:
    for page in (" ".join(summary(report).split()), markdown(report), html(report)):
        assert "mean absolute error" in page and f" {UNIT}" in page and "root mean squared error" in page
        assert "mean difference from the teacher" in page
        assert not re.search(r"accurac|top-1|\d points?\b|class", re.sub(r'class="[^"]*"', "", page))
    assert "mean absolute error rise" in " ".join(summary(report).split())


@pytest.mark.e2e
def test_the_usage_line_of_the_file_gives_the_value(report: Report) -> None:
    file = folder_of(report) / "out" / "model.onnx"
    usage = {entry.key: entry.value for entry in onnx.load(io.BytesIO(file.read_bytes())).metadata_props}["usage"]
    assert "labels" not in usage
    splits = Splits.load(stored(report, "data"))
    values = []
    for sample in splits.test.x:
        names: dict[str, Any] = {"raw": np.array(sample), "path": str(file), "numpy": np}
        exec(usage, names)
        values.append(np.ravel(names["value"]))
    (row,) = (row for row in report.boundaries if row.name == "onnxruntime")
    assert REGRESSION.scoring.score(np.array(values), splits.test.y).value == pytest.approx(row.score.value)


@pytest.mark.e2e
def test_a_search_looks_for_the_smallest_error(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    settings = {**SETTINGS, "distill.epochs": 3}
    study, folder = tune(
        "rpi4", None, settings, tmp_path / "out", tmp_path / "store", trials=4,
        searches=["distill.learning_rate=0.0001:0.1:log"], log=lambda line: None,
    )  # fmt: skip
    values = [trial.value for trial in study.trials if trial.state == "complete"]
    assert study.best is not None and study.best.value == min(values) < max(values)
    assert re.search(rf"best +[\d.]+ {UNIT} on 53 validation samples", summed_up(study, folder))
    assert (folder / "tuned.csv").read_text().startswith("trial,state,validation_mean_absolute_error,")
    words = " ".join((folder / "tuned.html").read_text().split())
    assert "Validation mean absolute error of each trial" in words and "accurac" not in words


def test_check_says_what_is_learnt() -> None:
    examined = check.examine(config())
    assert examined.classes == 0
    assert any(finding.says == "299 train, 53 validation, 90 test; 1 number of (10,)" for finding in examined.findings)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "the default loss": ({"distill__losses": [{"name": "logits"}]}, r"loss 'logits' is made for logits, .* values"),
    "labels": ({"distill__losses": [{"name": "labels"}, *SQUARED]}, "loss 'labels' is made for logits"),
    "members": ({"teacher__members": 2}, "task 'regression' has no way to make one answer"),
    "another teacher": ({"teacher__also": [{"model": "mlp"}]}, "task 'regression' has no way to make one answer"),
    "specialists": ({"teacher__specialists": 2}, "specialists = 2 is made for logits"),
    **{
        scheme: ({"distill__scheme": scheme}, f"scheme {scheme!r} is made for logits")
        for scheme in ("robust", "adversarial", "mutual", "self", "stream")
    },
    "an ensemble of generations": (
        {"distill__scheme": {"name": "born_again", "ensemble": True}}, "scheme 'born_again' with ensemble = true",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("settings", "says"), REFUSED.values(), ids=REFUSED)
def test_what_is_for_classes_alone_is_refused_by_name_before_anything_trains(
    settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as caught:
        check.examine(config(**settings))
    assert caught.value.remedy
    log: list[str] = []
    with pytest.raises(ConfigError, match=says):
        make(config(**settings), log=log.append)
    assert not any(line.startswith("teacher") for line in log)


def test_the_remedy_for_a_loss_that_does_not_fit_names_the_tasks_own() -> None:
    with pytest.raises(ConfigError) as caught:
        check.examine(config(distill__losses=[{"name": "dkd"}]))
    assert caught.value.remedy == 'distill.losses = [{name = "support.regression:SquaredError"}]'


def top_two(samples: int) -> dict[str, np.ndarray]:
    return {"indices": np.tile([0, 1], (samples, 1)), "probabilities": np.full((samples, 2), 0.5)}


@pytest.mark.parametrize(
    ("answers", "says"),
    [
        (lambda n: top_two(n), "has indices, probabilities, and no answers to training samples"),
        (lambda n: {"values": np.zeros((n, 3))}, r"gives \(299, 3\) for 299 samples; the data has 1 number"),
    ],
)
def test_stored_answers_of_another_task_are_refused(
    answers: Callable[[int], dict[str, np.ndarray]], says: str, tmp_path: Path
) -> None:
    np.savez(tmp_path / "answers.npz", **answers(299))
    with pytest.raises(EdgekdError, match=says) as caught:
        check.examine(config(teacher__answers=str(tmp_path / "answers.npz")))
    assert "number" in caught.value.remedy or "values (N, 1)" in caught.value.remedy


def test_a_function_that_gives_values_is_a_teacher_and_its_probabilities_are_not(tmp_path: Path) -> None:
    check.examine(config(teacher={"call": f"{__name__}:always_one"}))
    with pytest.raises(EdgekdError, match="was to give probabilities, and this task's answers are values"):
        check.examine(config(teacher={"call": f"{__name__}:always_one", "gives": "probabilities"}))


def always_one(x: np.ndarray) -> np.ndarray:
    return np.ones((len(x), 1), np.float32)


CHANGES: dict[str, dict[str, Any]] = {}


def changed() -> dict[str, Any]:
    """Return the diabetes data with the parts in CHANGES replaced."""
    return {**diabetes(), **CHANGES["data"]}


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ({"classes": ["a", "b"]}, "the data set names classes"),
        ({"test": (np.zeros((4, 10), np.float32), np.full(4, np.nan))}, "test: targets of shape"),
        ({"train": [(np.zeros(10, np.float32), [1.0, 2.0])] * 3}, r"label of train\[0\] is \[1.0, 2.0\]"),
    ],
)
def test_data_of_another_task_are_refused(data: dict[str, Any], says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(CHANGES, "data", data)
    with pytest.raises(DataError, match=says):
        check.examine(config(data={"name": f"{__name__}:changed"}))


def test_the_same_task_is_opened_by_the_name_of_its_row() -> None:
    assert open_task("regression").words == REGRESSION.words
