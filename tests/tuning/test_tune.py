"""Tuning can be resumed and shared, prunes bad trials, uses only validation data, and writes usable settings."""

import csv
import importlib
import importlib.util
import multiprocessing
import os
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest

from edgekd import cli
from edgekd.config.resolve import configure
from edgekd.errors import ConfigError, TrainingError
from edgekd.tuning.page import Study
from edgekd.tuning.tune import summary, tune

TOYS = [
    "data.name=support.small_training:stripe_data", "data.augment.shift=0", "teacher.model=support.small_training:Tiny",
    "teacher.epochs=1", "teacher.batch_size=16", "student.model=support.small_training:Tiny", "distill.batch_size=16",
    "distill.epochs=3", "compute.accelerator=cpu", "compute.threads=1",
]  # fmt: skip


STORE = Path()
SAID: list[str] = []


@pytest.fixture(scope="module", autouse=True)
def finished(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Create one store with data and teacher for all tests; each test has its studies in its own folder."""
    global STORE
    STORE = tmp_path_factory.mktemp("store")


def search(trials: int, *searched: str, settings: tuple[str, ...] = (), **more: Any) -> Study:
    options = {"store": STORE, "storage": f"journal:///{Path.cwd()}/tune.log", **more}
    study, _ = tune("rpi4", settings=[*TOYS, *settings], trials=trials, searches=searched, log=SAID.append, **options)
    return study


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace training by a formula: the score is highest at a learning rate of 0.1, and rises with each epoch."""
    setup = importlib.import_module("edgekd.distillation.setup")
    settings: list[Any] = []

    def validated(config: Any, artifacts: Any, watch: Any) -> float:
        settings.append(config.distill)
        reached = 100 - 100 * abs(config.distill.learning_rate - 0.1)
        for epoch in range(1, config.distill.epochs):
            watch(reached * epoch / config.distill.epochs, epoch)
        return reached

    monkeypatch.setattr(setup, "validation_score", validated)
    return settings


def test_the_best_settings_can_be_used(tmp_path: Path) -> None:
    study = search(3)
    assert len(study.trials) == 3 and study.best is not None and study.samples == 32
    assert study.configured is not None and (study.best.value or 0) >= (study.configured.value or 0)
    folder = Path("build/rpi4")
    assert tomllib.loads((folder / "tuned.toml").read_text())["teacher"]["model"] == "support.small_training:Tiny"
    tuned = configure("rpi4", folder / "tuned.toml")
    typed = configure("rpi4", settings=[*TOYS, *study.assignments])
    assert tuned == typed
    assert tuned.distill.learning_rate == study.settings.get("distill.learning_rate", 0.1)
    with (folder / "tuned.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["state"] for row in rows] == [trial.state for trial in study.trials]
    assert rows[0]["distill.losses.logits.temperature"] == "4.0"  # the loss's own default, which the config left out


@pytest.mark.usefixtures("trained")
def test_the_first_trial_is_the_config_as_it_is() -> None:
    first = search(1).trials[0]
    assert first.configured
    assert first.values == {
        "distill.learning_rate": 0.1, "distill.losses.logits.temperature": 4.0, "distill.losses.logits.hard": 0.1,
    }  # fmt: skip


@pytest.mark.usefixtures("trained")
def test_the_same_command_goes_on_and_ends_as_one_that_was_never_interrupted() -> None:
    uninterrupted = search(5, storage=f"sqlite:///{Path.cwd()}/whole.db")
    search(2)
    assert search(5).trials == uninterrupted.trials
    assert len(search(3).trials) == 5  # more are there already


def test_an_interrupted_trial_is_made_again(trained: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    uninterrupted = search(4, storage=f"sqlite:///{Path.cwd()}/whole.db")
    setup = importlib.import_module("edgekd.distillation.setup")
    validation_score = setup.validation_score

    def interrupted(config: Any, artifacts: Any, watch: Any) -> float:
        if len(trained) == 6:  # four of the first search, and two of this one
            raise KeyboardInterrupt
        return float(validation_score(config, artifacts, watch))

    monkeypatch.setattr(setup, "validation_score", interrupted)
    with pytest.raises(KeyboardInterrupt):
        search(4)
    monkeypatch.setattr(setup, "validation_score", validation_score)
    study = search(4)
    assert [trial.number for trial in study.trials] == [0, 1, 3, 4]
    assert study.trials[2].values == uninterrupted.trials[2].values
    assert len({trial.values["distill.learning_rate"] for trial in study.trials}) == 4


@pytest.mark.usefixtures("trained")
def test_a_hopeless_trial_is_pruned_and_a_good_one_is_not() -> None:
    study = search(14, "distill.learning_rate=0.05:0.9", settings=("distill.epochs=6",))
    assert {trial.state for trial in study.trials} == {"complete", "pruned"}
    pruned = [trial for trial in study.trials if trial.state == "pruned"]
    assert all(2 <= trial.epochs < 6 for trial in pruned)  # a third of the epochs is granted to all
    rates = [trial.values["distill.learning_rate"] for trial in pruned]
    assert study.best is not None and (study.best.value or 0) >= max(100 - 100 * abs(rate - 0.1) for rate in rates)


@pytest.mark.usefixtures("trained")
def test_importances_name_what_matters() -> None:
    study = search(12, "distill.learning_rate=0.05:0.9", "distill.momentum=0.5:0.9", settings=("distill.epochs=1",))
    assert next(iter(study.importances)) == "distill.learning_rate" and sum(study.importances.values()) > 0.99


def test_a_training_that_fails_is_a_bad_trial_and_no_end(trained: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    setup = importlib.import_module("edgekd.distillation.setup")
    validation_score = setup.validation_score

    def diverging(config: Any, artifacts: Any, watch: Any) -> float:
        if config.distill.learning_rate > 0.2:
            raise TrainingError("distill: the loss became nan", "less")
        return float(validation_score(config, artifacts, watch))

    monkeypatch.setattr(setup, "validation_score", diverging)
    study = search(8, "distill.learning_rate=0.05:0.4")
    states = {trial.state for trial in study.trials}
    assert {"complete", "failed"} <= states and len(study.trials) == 8
    failed = next(trial for trial in study.trials if trial.state == "failed")
    assert failed.error == "distill: the loss became nan" and failed.value is None


def test_layers_and_kinds_of_values_reach_the_training(trained: list[Any]) -> None:
    search(
        6,
        'distill.optimizer=["sgd", "adamw"]',
        "distill.epochs=2:4",
        'distill.losses.attention.layers=[["body.0:body.0"], ["body"]]',
        settings=('distill.losses=[{name="logits"}, {name="attention", weight=1000}]',),
    )
    assert {settings.optimizer for settings in trained} == {"sgd", "adamw"}
    assert {settings.epochs for settings in trained} <= {2, 3, 4}
    layers = {tuple(settings.losses[1].entry_options()["layers"]) for settings in trained}
    assert layers == {("body.0:body.0",), ("body",)}


@pytest.mark.parametrize(
    ("searched", "says"),
    [
        ("teacher.learning_rate=0.1:0.2", "data and teacher are made once"),
        ("distill.learning_rat=0.1:0.2", "unknown setting distill.learning_rat"),
        ("distill.losses.logits.temprature=1.0:2.0", "temprature"),
        ("distill.learning_rate=-0.1:0.2", "distill.learning_rate"),
        ('distill.optimizer=["sgd", "adam"]', "distill.optimizer"),
    ],
)
def test_what_can_not_be_searched_is_refused_before_anything_trains(searched: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        search(1, searched, store=Path("new"))
    assert not list(Path("new").glob("teacher"))


def test_what_the_student_can_not_learn_by_is_refused_before_anything_trains() -> None:
    with pytest.raises(ConfigError, match="don't fill 1000 windows"):
        search(1, settings=("distill.scheme.name=stream", "distill.scheme.windows=1000"), store=Path("new"))
    assert not list(Path("new").glob("teacher"))


@pytest.mark.usefixtures("trained")
def test_a_study_of_something_else_is_not_mixed_in() -> None:
    search(1, study="mine")
    with pytest.raises(ConfigError, match="is of other data, settings or searched ranges"):
        search(2, study="mine", settings=("distill.epochs=4",))
    assert len(search(2, study="mine").trials) == 2


@pytest.mark.usefixtures("trained")
def test_a_journal_file_is_a_storage_too() -> None:
    url = f"journal:///{Path.cwd()}/shared/tune.log"
    search(2, storage=url)
    study = search(3, storage=url)
    assert len(study.trials) == 3 and study.storage == "journal:///…/tune.log"


@pytest.mark.usefixtures("trained")
def test_after_the_timeout_no_trial_begins() -> None:
    assert search(5, timeout=0.0).trials == ()
    assert "no trial was trained to its end yet" in summary(search(5, timeout=0.0), Path("x"))


def exit_code(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        cli.main(["tune", *arguments])
    return int(ended.value.code or 0)


def test_without_optuna_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert exit_code("--target", "rpi4") == 4
    assert "pip install 'edgekd[tune]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "code", "says"),
    [
        ("postgresql+psycopg2://me:secret@somewhere/x", 4, "try: pip install psycopg2-binary"),
        ("nonsense", 2, "nonsense is no database's URL"),
    ],
)
def test_a_storage_that_cant_be_had_is_refused_without_its_password(
    url: str, code: int, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code("--target", "rpi4", "--storage", url) == code
    output = capsys.readouterr()
    assert says in output.err and "secret" not in output.err + output.out


@pytest.mark.usefixtures("trained")
def test_the_command_prints_settings_that_can_be_pasted(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        exit_code("--target", "rpi4", "--trials", "2", "--store", str(STORE), *(f"--set={text}" for text in TOYS)) == 0
    )
    output = capsys.readouterr()
    assert "trial 0    100.00 %" in output.err and "2 trials" in output.out
    assert "--set distill.learning_rate=" in output.out and "build/rpi4/tuned.toml" in output.out


def test_two_processes_share_one_study(trained: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    setup = importlib.import_module("edgekd.distillation.setup")
    validation_score = setup.validation_score
    monkeypatch.setattr(setup, "validation_score", lambda *arguments: time.sleep(0.1) or validation_score(*arguments))
    url = f"sqlite:///{Path.cwd()}/tune.db"
    search(1, storage=url)  # data and teacher are made
    processes = [
        multiprocessing.get_context("fork").Process(target=search, args=(6,), kwargs={"storage": url}) for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert [process.exitcode for process in processes] == [0, 0]
    study = search(6, storage=url)
    assert len(trained) == 1 and len(study.trials) in (6, 7)
    assert [trial.number for trial in study.trials] == list(range(len(study.trials)))
    assert len({trial.values["distill.learning_rate"] for trial in study.trials}) == len(study.trials)


def killed(*_: Any) -> float:
    """Stand in for a training whose process is killed."""
    time.sleep(0.2)
    os._exit(9)


def test_a_trial_whose_process_was_killed_is_made_again(trained: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    setup, url = importlib.import_module("edgekd.distillation.setup"), f"sqlite:///{Path.cwd()}/tune.db"
    monkeypatch.setattr("edgekd.tuning.storage.HEARTBEAT_SECONDS", 1)
    monkeypatch.setattr("edgekd.tuning.storage.PATIENCE_SECONDS", 2)
    search(1, storage=url)
    with monkeypatch.context() as patched:
        patched.setattr(setup, "validation_score", killed)
        process = multiprocessing.get_context("fork").Process(target=search, args=(2,), kwargs={"storage": url})
        process.start()
        process.join(60)
    assert process.exitcode == 9
    time.sleep(3)
    study = search(3, storage=url)
    assert [trial.number for trial in study.trials] == [0, 2, 3]
    assert len(trained) == 3
