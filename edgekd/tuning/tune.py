"""Tuning: a search over the settings of the distillation with Optuna, scored on validation data alone.

A study is stored where several processes and machines can share it. Each trains the next trial until the study has the
requested number. The same command continues an interrupted study.
"""

import csv
import hashlib
import importlib
import json
import os
import re
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgekd import catalog
from edgekd.config import Config, toml
from edgekd.config.resolve import SettingsLike
from edgekd.disk import writing
from edgekd.errors import ConfigError
from edgekd.pipeline.build import STAGES, folders, to_stderr
from edgekd.pipeline.ranks import ALONE, torchrun_processes
from edgekd.pipeline.stage import Log, recipe, run_cached, view
from edgekd.pipeline.store import Store
from edgekd.report.units import in_full
from edgekd.tuning import space
from edgekd.tuning.page import Study, page
from edgekd.tuning.storage import optuna_or_remedy, storage_at, without_password
from edgekd.tuning.study import Task, count_finished, open_study, read, run_trial, summarise

SEARCHED = ("distill.", "student.")
FILES = ("tuned.toml", "tuned.html", "tuned.csv")


def tune(
    target: str,
    config: Path | None = None,
    settings: SettingsLike = (),
    out: Path | None = None,
    store: Path | None = None,
    *,
    trials: int = 30,
    timeout: float | None = None,
    searches: Sequence[str] = (),
    storage: str | None = None,
    study: str | None = None,
    log: Log = to_stderr,
) -> tuple[Study, Path]:
    """Search until the study has `trials` finished trials, and return the results and the folder of the files.

    Args:
        trials: the number over all processes and calls; with several processes each may train one more.
        timeout: seconds after which no further trial begins.
        searches: arguments of --search; by default the search space of `space.default_dimensions`.
        storage: a database's URL, or journal:///FILE; by default SQLite in the store.
        study: the name of the study; by default one that follows from the search space.

    Raises:
        MissingExtraError: Optuna, or the database's driver, is not installed.
    """
    optuna = optuna_or_remedy()
    if torchrun_processes().world > 1:
        raise ConfigError("edgekd tune trains in one process", "start it several times; they share the study")
    resolved = space.configured(target, config, settings)
    folder, work_store = folders(resolved, out, store)
    url = storage or f"sqlite:///{work_store.root / 'tune.db'}"
    study_storage = storage_at(optuna, url)
    task = _task(target, config, settings, work_store, searches, log)
    optuna_study = open_study(optuna, task, study_storage, study or f"{task.config.device.name}-{task.key}")
    done = f"{count_finished(optuna_study)} of {trials} trials are done"
    log(f"study {optuna_study.study_name} in {without_password(url)}: {done}")
    numbers: list[int] = []

    def attempt(trial: Any) -> float:
        numbers.append(trial.number)
        return run_trial(optuna, task, optuna_study, trial)

    deadline = None if timeout is None else time.monotonic() + timeout
    while count_finished(optuna_study) < trials and (deadline is None or time.monotonic() < deadline):
        optuna_study.optimize(attempt, n_trials=1)
        log(
            _line(task, next(trial for trial in optuna_study.get_trials(deepcopy=False) if trial.number == numbers[-1]))
        )
    result = summarise(optuna, task, optuna_study, re.sub(r":///.*/", ":///…/", without_password(url)))
    _write(result, task, target, folder)
    return result, folder


def summary(study: Study, folder: Path) -> str:
    """Return the summary that the terminal shows at the end."""
    pruned = sum(trial.state == "pruned" for trial in study.trials)
    lines = [f"{study.title}: {len(study.trials)} trials, {pruned} of them pruned; seed {study.seed}"]
    best, config_trial = study.best, study.configured
    if best is None:
        return "\n".join([*lines, "no trial was trained to its end yet: --trials asks for more"]) + "\n"
    comparison = (
        f"; as configured {study.score(config_trial)}"
        if config_trial is not None and config_trial.number != best.number
        else ""
    )
    samples = f"{study.of} {study.samples:,} validation samples"
    lines.append(f"best     {study.score(best)} {samples}, trial {best.number}{comparison}")
    lines += [f"set      --set {shlex.quote(text)}" for text in study.assignments]
    if study.importances:
        lines.append("matters  " + ", ".join(f"{name} {share:.2f}" for name, share in study.importances.items()))
    if study.at_edge:
        lines.append(f"         at an end of its range, so that the best may lie beyond: {', '.join(study.at_edge)}")
    lines.append("         the best of many trials looks better than it is: edgekd build judges it on test data")
    lines.append(f"files    {'  '.join((folder / name).as_posix() for name in FILES)}")
    return "\n".join(lines) + "\n"


def _task(
    target: str, config: Path | None, settings: SettingsLike, store: Store, searches: Sequence[str], log: Log
) -> Task:
    """Check the config and the search space, and run or reuse the data and teacher stages."""

    def configured(more: Mapping[str, Any]) -> Config:
        return space.configured(target, config, settings, more)

    resolved = configured({})
    dimensions = tuple(space.parse(text) for text in searches)
    for dimension in dimensions:
        if not dimension.key.startswith(SEARCHED):
            raise ConfigError(
                f"--search {dimension.key}: data and teacher are made once for all trials",
                f"search what begins with {' or '.join(SEARCHED)}, as in {space.EXAMPLE}",
            )
        for value in space.ends(dimension):
            configured(space.overrides(resolved, {dimension.key: value}))
    if not resolved.distill.epochs:
        raise ConfigError("distill.epochs = 0 trains nothing that could be tuned", "--set distill.epochs=40")
    stage_folders: dict[str, Path] = {}
    index = [stage.name for stage in STAGES].index("distill")
    earlier, distill = STAGES[:index], STAGES[index]
    for stage in earlier:
        stage_folders[stage.name] = run_cached(stage, resolved, stage_folders, store, ALONE, log).folder
        if stage.name == "data":
            for stage_to_check in (*earlier, distill):
                stage_to_check.precheck(resolved, stage_folders["data"])
    if not dimensions:
        dimensions = space.default_dimensions(
            resolved,
            importlib.import_module("edgekd.distillation.setup").layer_choices(view(distill, resolved), stage_folders),
        )
    identity = json.dumps([recipe(distill, resolved, stage_folders).key, [repr(dimension) for dimension in dimensions]])
    key = hashlib.sha256(identity.encode()).hexdigest()[:8]
    words = catalog.load("task", resolved.task).words
    return Task(
        resolved, configured, stage_folders, lambda trial_config: view(distill, trial_config), dimensions, words, key
    )


def _line(task: Task, trial: Any) -> str:
    """Return one line about a trial that has just ended."""
    result = read(trial)
    words = task.words
    score = in_full(result.value, words.unit) if result.value is not None else f"no {words.score}"
    outcomes = {"complete": score, "pruned": f"pruned after epoch {result.epochs} at {score}", "failed": result.error}
    values = "  ".join(f"{dimension.short}={_short(result.values.get(dimension.key))}" for dimension in task.space)
    return f"trial {result.number:<4} {outcomes.get(result.state, result.state):32} {values}"


def _short(value: Any) -> str:
    return f"{value:.{space.DIGITS}g}" if isinstance(value, float) else str(value)


def _write(study: Study, task: Task, target: str, folder: Path) -> None:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if study.best is not None:
            base = space.configured(target, Path(os.devnull), ())
            config = task.configured(study.settings)
            changes = space.changes(config.model_dump(mode="json"), base.model_dump(mode="json"))
            opening = f"# {study.title}, trial {study.best.number}: {study.score(study.best)} on validation data.\n"
            command = f"# Use it as edgekd.toml: edgekd build --target {target} --config {folder / 'tuned.toml'}\n\n"
            (folder / "tuned.toml").write_text(opening + command + toml.document(changes), encoding="utf-8")
        (folder / "tuned.html").write_text(page(study), encoding="utf-8")
        with (folder / "tuned.csv").open("w", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream)
            keys = [parameter.key for parameter in study.parameters]
            rows.writerow(["trial", "state", f"validation_{study.words.score.replace(' ', '_')}", "epochs_seen", *keys])
            for trial in study.trials:
                rows.writerow(
                    [trial.number, trial.state, trial.value, trial.epochs, *(trial.values.get(key) for key in keys)]
                )
