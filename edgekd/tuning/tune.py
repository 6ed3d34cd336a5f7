"""Tuning: settings of the distillation are searched with Optuna, judged on validation data alone.

A study lives in a storage that several processes and machines can share; each takes the next trial until the study has
as many as were asked for. What was started once goes on by the same command.
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
from edgekd.tuning.storage import hidden, optuna_or_remedy, storage_at
from edgekd.tuning.study import Task, finished, open_study, read, run_trial, summed_up

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
    searched: Sequence[str] = (),
    storage: str | None = None,
    study: str | None = None,
    log: Log = to_stderr,
) -> tuple[Study, Path]:
    """Search until the study has so many finished trials; what was found, and the folder of the files come back.

    Args:
        trials: in all, of every process and every call; several processes may make one more each.
        timeout: seconds after which no further trial begins.
        searched: texts as after --search; without any, what `space.usual` finds in the config.
        storage: a database's URL, or journal:///FILE; by default SQLite in the store.
        study: its name; by default one that follows from what is searched.

    Raises:
        MissingExtraError: Optuna, or the database's driver, is not installed.
    """
    optuna = optuna_or_remedy()
    if torchrun_processes().world > 1:
        raise ConfigError("edgekd tune trains in one process", "start it several times; they share the study")
    resolved = space.configured(target, config, settings)
    folder, work_store = folders(resolved, out, store)
    url = storage or f"sqlite:///{work_store.root / 'tune.db'}"
    kept = storage_at(optuna, url)
    task = _task(target, config, settings, work_store, searched, log)
    opened = open_study(optuna, task, kept, study or f"{task.config.device.name}-{task.key}")
    log(f"study {opened.study_name} in {hidden(url)}: {finished(opened)} of {trials} trials are done")
    begun: list[int] = []

    def attempt(trial: Any) -> float:
        begun.append(trial.number)
        return run_trial(optuna, task, opened, trial)

    deadline = None if timeout is None else time.monotonic() + timeout
    while finished(opened) < trials and (deadline is None or time.monotonic() < deadline):
        opened.optimize(attempt, n_trials=1)
        log(_line(task, next(trial for trial in opened.get_trials(deepcopy=False) if trial.number == begun[-1])))
    found = summed_up(optuna, task, opened, re.sub(r":///.*/", ":///…/", hidden(url)))
    _write(found, task, target, folder)
    return found, folder


def summary(found: Study, folder: Path) -> str:
    """What the command ends on."""
    pruned = sum(trial.state == "pruned" for trial in found.trials)
    lines = [f"{found.title}: {len(found.trials)} trials, {pruned} of them pruned; seed {found.seed}"]
    best, own = found.best, found.configured
    if best is None:
        return "\n".join([*lines, "no trial was trained to its end yet: --trials asks for more"]) + "\n"
    against = f"; as configured {found.score(own)}" if own is not None and own.number != best.number else ""
    samples = f"{found.of} {found.samples:,} validation samples"
    lines.append(f"best     {found.score(best)} {samples}, trial {best.number}{against}")
    lines += [f"set      --set {shlex.quote(text)}" for text in found.assignments]
    if found.importances:
        lines.append("matters  " + ", ".join(f"{name} {share:.2f}" for name, share in found.importances.items()))
    if found.at_edge:
        lines.append(f"         at an end of its range, so that the best may lie beyond: {', '.join(found.at_edge)}")
    lines.append("         the best of many trials looks better than it is: edgekd build judges it on test data")
    lines.append(f"files    {'  '.join((folder / name).as_posix() for name in FILES)}")
    return "\n".join(lines) + "\n"


def _task(
    target: str, config: Path | None, settings: SettingsLike, store: Store, searched: Sequence[str], log: Log
) -> Task:
    """Everything before the first trial: the config and the space are checked, data and teacher are made or reused."""

    def configured(more: Mapping[str, Any]) -> Config:
        return space.configured(target, config, settings, more)

    resolved = configured({})
    dimensions = tuple(space.parse(text) for text in searched)
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
    made: dict[str, Path] = {}
    place = [stage.name for stage in STAGES].index("distill")
    before, distill = STAGES[:place], STAGES[place]
    for stage in before:
        made[stage.name] = run_cached(stage, resolved, made, store, ALONE, log).folder
        if stage.name == "data":
            for later in (*before, distill):
                later.precheck(resolved, made["data"])
    if not dimensions:
        dimensions = space.usual(
            resolved, importlib.import_module("edgekd.distillation.setup").layer_choices(view(distill, resolved), made)
        )
    said = json.dumps([recipe(distill, resolved, made).key, [repr(dimension) for dimension in dimensions]])
    key = hashlib.sha256(said.encode()).hexdigest()[:8]
    words = catalog.load("task", resolved.task).words
    return Task(resolved, configured, made, lambda changed: view(distill, changed), dimensions, words, key)


def _line(task: Task, trial: Any) -> str:
    """One line on a trial that has just ended."""
    told = read(trial)
    words = task.words
    score = in_full(told.value, words.unit) if told.value is not None else f"no {words.score}"
    how = {"complete": score, "pruned": f"pruned after epoch {told.epochs} at {score}", "failed": told.why}
    values = "  ".join(f"{dimension.short}={_short(told.values.get(dimension.key))}" for dimension in task.space)
    return f"trial {told.number:<4} {how.get(told.state, told.state):32} {values}"


def _short(value: Any) -> str:
    return f"{value:.{space.DIGITS}g}" if isinstance(value, float) else str(value)


def _write(found: Study, task: Task, target: str, folder: Path) -> None:
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        if found.best is not None:
            base = space.configured(target, Path(os.devnull), ())
            chosen = task.configured(found.settings)
            differing = space.changes(chosen.model_dump(mode="json"), base.model_dump(mode="json"))
            opening = f"# {found.title}, trial {found.best.number}: {found.score(found.best)} on validation data.\n"
            how = f"# Use it as edgekd.toml: edgekd build --target {target} --config {folder / 'tuned.toml'}\n\n"
            (folder / "tuned.toml").write_text(opening + how + toml.document(differing), encoding="utf-8")
        (folder / "tuned.html").write_text(page(found), encoding="utf-8")
        with (folder / "tuned.csv").open("w", newline="", encoding="utf-8") as stream:
            rows = csv.writer(stream)
            keys = [parameter.key for parameter in found.parameters]
            rows.writerow(["trial", "state", f"validation_{found.words.score.replace(' ', '_')}", "epochs_seen", *keys])
            for trial in found.trials:
                rows.writerow(
                    [trial.number, trial.state, trial.value, trial.epochs, *(trial.values.get(key) for key in keys)]
                )
