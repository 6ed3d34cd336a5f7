"""One study of a search, as Optuna keeps it: opened, continued, its trials trained and read."""

import hashlib
import importlib
import importlib.util
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd import catalog
from edgekd.config import Config, toml
from edgekd.errors import ConfigError, TrainingError
from edgekd.results import TaskWords
from edgekd.tuning import space
from edgekd.tuning.page import Parameter, Study, Trial
from edgekd.tuning.space import Dimension, Range

FIRST = 5  # trials that train to their end, before the median of the others ends one
UNPRUNED = 1 / 3  # of the epochs: early scores say little between learning rates, whose cosine ends late


@dataclass(frozen=True)
class Task:
    """What is tuned.

    Attributes:
        configured: more settings -> the whole config, checked.
        made: stage -> folder of its finished work: data and teacher.
        view: a config -> what the distill stage may read of it.
        space: what is searched.
        words: of what is learnt: its score, and in which direction that is better.
        key: 8 hexadecimal digits that differ between tasks whose trials must not be mixed.
    """

    config: Config
    configured: Callable[[Mapping[str, Any]], Config]
    made: Mapping[str, Path]
    view: Callable[[Config], Config]
    space: tuple[Dimension, ...]
    words: TaskWords
    key: str


def open_study(optuna: Any, task: Task, storage: Any, name: str) -> Any:
    """The study, new or to be continued; a new one begins with the settings as they are configured."""
    warm = max(1, round(UNPRUNED * task.config.distill.epochs))
    study = optuna.create_study(
        study_name=name, storage=storage, direction="maximize" if task.words.higher_is_better else "minimize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST, n_warmup_steps=warm),
    )  # fmt: skip
    kept = study.user_attrs.get("task")
    if kept not in (None, task.key):
        raise ConfigError(
            f"study {name!r} is of other data, settings or searched ranges",
            "another --study NAME, or none: then the name follows from what is searched",
        )
    if kept is None:
        study.set_user_attr("task", task.key)
        if own := _as_configured(task):
            study.enqueue_trial(own, user_attrs={"configured": True}, skip_if_exists=True)
    return study


def _as_configured(task: Task) -> dict[str, Any]:
    """The config's own values of what is searched; those outside the ranges, or not known, are left to the sampler."""
    losses = task.config.distill.losses
    values: dict[str, Any] = {}
    for dimension in task.space:
        try:
            value = _now(task.config, losses, dimension)
        except (AttributeError, KeyError, TypeError):
            continue
        if isinstance(dimension.among, Range):
            if isinstance(value, int | float) and dimension.among.low <= value <= dimension.among.high:
                values[dimension.key] = value
        elif value in dimension.among:
            values[dimension.key] = _choice(value)
        elif dimension.key.endswith(".layers") and value is None:
            values[dimension.key] = _choice(dimension.among[0])
    return values


def _now(config: Config, losses: Sequence[Any], dimension: Dimension) -> Any:
    """A setting's value, or its default where it is an option of a loss that the config leaves out."""
    if not dimension.key.startswith(f"{space.LOSSES}."):
        value: Any = config
        for step in dimension.key.split("."):
            value = getattr(value, step)
        return value
    name, _, option = dimension.key.removeprefix(f"{space.LOSSES}.").partition(".")
    loss = losses[int(name)] if name.isdigit() else next(loss for loss in losses if loss.name == name)
    written = {"weight": loss.weight, **loss.entry_options()}
    if option in written:
        return written[option]
    return inspect.signature(catalog.load("loss", loss.name)).parameters[option].default


def run_trial(optuna: Any, task: Task, study: Any, trial: Any) -> float:
    """One training. What is tried depends on the seed, the trial's number and the trials before it alone."""
    seed = int.from_bytes(hashlib.sha256(f"{task.config.seed} {trial.number}".encode()).digest()[:4], "big")
    study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False)
    values = {dimension.key: space.rounded(_suggested(trial, dimension)) for dimension in task.space}
    settings = space.overrides(task.config, values)
    trial.set_user_attr("settings", json.dumps(settings))

    def watch(score: float, epochs: int) -> None:
        trial.report(score, epochs)
        if trial.should_prune():
            raise optuna.TrialPruned

    setup = importlib.import_module("edgekd.distillation.setup")
    try:
        return float(setup.validation_score(task.view(task.configured(settings)), task.made, watch))
    except TrainingError as error:  # the loss became infinite, say: as bad as can be, and worth remembering
        trial.set_user_attr("failed", error.what)
        raise optuna.TrialPruned from error
    except KeyboardInterrupt:
        study.enqueue_trial(trial.params, user_attrs={**trial.user_attrs, "again": trial.number})
        trial.set_user_attr("interrupted", True)
        raise


def _suggested(trial: Any, dimension: Dimension) -> Any:
    among = dimension.among
    if not isinstance(among, Range):
        choices = [_choice(value) for value in among]
        return among[choices.index(trial.suggest_categorical(dimension.key, choices))]
    if among.whole:
        return trial.suggest_int(dimension.key, int(among.low), int(among.high), log=among.log)
    return trial.suggest_float(dimension.key, among.low, among.high, log=among.log)


def _choice(value: Any) -> Any:
    """Optuna chooses among plain values; lists stand in a study as their TOML."""
    return value if isinstance(value, bool | int | float | str) else toml.value(value)


def finished(study: Any) -> int:
    return len([trial for trial in study.get_trials(deepcopy=False) if _state(trial)])


def _state(trial: Any) -> str:
    """complete, pruned or failed; nothing of one that runs, waits, was interrupted or killed."""
    name = trial.state.name
    if name == "PRUNED" and "failed" in trial.user_attrs:
        return "failed"
    return {"COMPLETE": "complete", "PRUNED": "pruned"}.get(name, "")


def read(trial: Any) -> Trial:
    steps = sorted(trial.intermediate_values)
    value = trial.value if trial.state.name == "COMPLETE" else trial.intermediate_values[steps[-1]] if steps else None
    return Trial(
        number=trial.number,
        state=_state(trial) or trial.state.name.lower(),
        value=value,
        epochs=steps[-1] if steps else 0,
        values={key: space.rounded(value) for key, value in trial.params.items()},
        configured=bool(trial.user_attrs.get("configured")),
        why=str(trial.user_attrs.get("failed", "")),
    )


def summed_up(optuna: Any, task: Task, study: Any, storage: str) -> Study:
    kept = [trial for trial in study.get_trials(deepcopy=False) if _state(trial)]
    complete = [trial for trial in kept if _state(trial) == "complete"]
    sign = 1 if task.words.higher_is_better else -1
    best = max(complete, key=lambda trial: (sign * trial.value, -trial.number), default=None)
    settings = json.loads(best.user_attrs["settings"]) if best else {}
    parameters = tuple(
        Parameter(d.key, d.short, log=isinstance(d.among, Range) and d.among.log, of_numbers=isinstance(d.among, Range))
        for d in task.space
    )
    samples = json.loads((task.made["data"] / "metrics.json").read_text(encoding="utf-8"))["validation"]
    return Study(
        title=f"{task.config.device.name} · {task.config.data.name} · study {study.study_name}",
        storage=storage,
        seed=task.config.seed,
        epochs=task.config.distill.epochs,
        samples=samples,
        words=task.words,
        trials=tuple(read(trial) for trial in kept),
        best=read(best) if best else None,
        parameters=parameters,
        importances=_importances(optuna, task, study, complete),
        settings=settings,
        assignments=tuple(space.assignments(settings)),
        at_edge=tuple(d.short for d in task.space if best and space.at_edge(d, best.params[d.key])),
    )


def _importances(optuna: Any, task: Task, study: Any, complete: Sequence[Any]) -> dict[str, float]:
    """Of each parameter by fANOVA (Hutter et al., 2014), most important first; nothing where the trials can't tell."""
    if len(complete) < FIRST or len({trial.value for trial in complete}) < 2 or len(task.space) < 2:
        return {}
    try:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=task.config.seed)
        found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (RuntimeError, ValueError):  # no variance that it could share out
        return {}
    names = {dimension.key: dimension.short for dimension in task.space}
    return {names[key]: float(share) for key, share in found.items()}
