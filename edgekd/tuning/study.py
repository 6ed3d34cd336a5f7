"""One study of a search in Optuna: it is opened or continued, trains its trials, and is summarised."""

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

FIRST = 5  # so many trials train to their end before the median prunes any
UNPRUNED = 1 / 3  # share of the epochs without pruning: early scores of different cosine schedules compare badly


@dataclass(frozen=True)
class Task:
    """What a study tunes.

    Attributes:
        configured: resolves the config with some more settings.
        stage_folders: the folders of the finished work of the data and teacher stages.
        view: returns the distill stage's view of a config.
        space: the search space.
        words: the words of the task, with the direction of its score.
        key: 8 hexadecimal digits that differ between tasks whose trials must not be mixed.
    """

    config: Config
    configured: Callable[[Mapping[str, Any]], Config]
    stage_folders: Mapping[str, Path]
    view: Callable[[Config], Config]
    space: tuple[Dimension, ...]
    words: TaskWords
    key: str


def open_study(optuna: Any, task: Task, storage: Any, name: str) -> Any:
    """Create or continue a study; a new one begins with the config's own values."""
    warmup_epochs = max(1, round(UNPRUNED * task.config.distill.epochs))
    study = optuna.create_study(
        study_name=name, storage=storage, direction="maximize" if task.words.higher_is_better else "minimize",
        load_if_exists=True,
        pruner=optuna.pruners.MedianPruner(n_startup_trials=FIRST, n_warmup_steps=warmup_epochs),
    )  # fmt: skip
    stored_key = study.user_attrs.get("task")
    if stored_key not in (None, task.key):
        raise ConfigError(
            f"study {name!r} is of other data, settings or searched ranges",
            "another --study NAME, or none: then the name follows from what is searched",
        )
    if stored_key is None:
        study.set_user_attr("task", task.key)
        if values := _config_values(task):
            study.enqueue_trial(values, user_attrs={"configured": True}, skip_if_exists=True)
    return study


def _config_values(task: Task) -> dict[str, Any]:
    """Return the config's own values in the search space; the sampler chooses those that are unknown or outside it."""
    losses = task.config.distill.losses
    values: dict[str, Any] = {}
    for dimension in task.space:
        try:
            value = _config_value(task.config, losses, dimension)
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


def _config_value(config: Config, losses: Sequence[Any], dimension: Dimension) -> Any:
    """Return a setting's value in the config, or the default of a loss's option that the config leaves out."""
    if not dimension.key.startswith(f"{space.LOSSES}."):
        value: Any = config
        for step in dimension.key.split("."):
            value = getattr(value, step)
        return value
    name, _, option = dimension.key.removeprefix(f"{space.LOSSES}.").partition(".")
    loss = losses[int(name)] if name.isdigit() else next(loss for loss in losses if loss.name == name)
    options = {"weight": loss.weight, **loss.entry_options()}
    if option in options:
        return options[option]
    return inspect.signature(catalog.load("loss", loss.name)).parameters[option].default


def run_trial(optuna: Any, task: Task, study: Any, trial: Any) -> float:
    """Train one trial. Its values depend on the seed, the trial's number and the earlier trials alone."""
    seed = int.from_bytes(hashlib.sha256(f"{task.config.seed} {trial.number}".encode()).digest()[:4], "big")
    study.sampler = optuna.samplers.TPESampler(seed=seed, multivariate=False)
    values = {dimension.key: space.rounded(_suggest(trial, dimension)) for dimension in task.space}
    settings = space.overrides(task.config, values)
    trial.set_user_attr("settings", json.dumps(settings))

    def watch(score: float, epochs: int) -> None:
        trial.report(score, epochs)
        if trial.should_prune():
            raise optuna.TrialPruned

    setup = importlib.import_module("edgekd.distillation.setup")
    try:
        return float(setup.validation_score(task.view(task.configured(settings)), task.stage_folders, watch))
    except TrainingError as error:  # such as an infinite loss: the trial counts as pruned
        trial.set_user_attr("failed", error.what)
        raise optuna.TrialPruned from error
    except KeyboardInterrupt:
        study.enqueue_trial(trial.params, user_attrs={**trial.user_attrs, "again": trial.number})
        trial.set_user_attr("interrupted", True)
        raise


def _suggest(trial: Any, dimension: Dimension) -> Any:
    among = dimension.among
    if not isinstance(among, Range):
        choices = [_choice(value) for value in among]
        return among[choices.index(trial.suggest_categorical(dimension.key, choices))]
    if among.whole:
        return trial.suggest_int(dimension.key, int(among.low), int(among.high), log=among.log)
    return trial.suggest_float(dimension.key, among.low, among.high, log=among.log)


def _choice(value: Any) -> Any:
    """Convert a choice for Optuna, which takes plain values only; a list becomes its TOML."""
    return value if isinstance(value, bool | int | float | str) else toml.value(value)


def count_finished(study: Any) -> int:
    """Count the trials that are complete, pruned or failed."""
    return len([trial for trial in study.get_trials(deepcopy=False) if _state(trial)])


def _state(trial: Any) -> str:
    """Return "complete", "pruned" or "failed"; "" for a trial that runs, waits, was interrupted or killed."""
    name = trial.state.name
    if name == "PRUNED" and "failed" in trial.user_attrs:
        return "failed"
    return {"COMPLETE": "complete", "PRUNED": "pruned"}.get(name, "")


def read(trial: Any) -> Trial:
    """Convert Optuna's trial to that of the page."""
    steps = sorted(trial.intermediate_values)
    value = trial.value if trial.state.name == "COMPLETE" else trial.intermediate_values[steps[-1]] if steps else None
    return Trial(
        number=trial.number,
        state=_state(trial) or trial.state.name.lower(),
        value=value,
        epochs=steps[-1] if steps else 0,
        values={key: space.rounded(value) for key, value in trial.params.items()},
        configured=bool(trial.user_attrs.get("configured")),
        error=str(trial.user_attrs.get("failed", "")),
    )


def summarise(optuna: Any, task: Task, study: Any, storage: str) -> Study:
    """Collect the results of a study; `storage` is its URL without passwords."""
    trials = [trial for trial in study.get_trials(deepcopy=False) if _state(trial)]
    complete = [trial for trial in trials if _state(trial) == "complete"]
    sign = 1 if task.words.higher_is_better else -1
    best = max(complete, key=lambda trial: (sign * trial.value, -trial.number), default=None)
    settings = json.loads(best.user_attrs["settings"]) if best else {}
    parameters = tuple(
        Parameter(d.key, d.short, log=isinstance(d.among, Range) and d.among.log, of_numbers=isinstance(d.among, Range))
        for d in task.space
    )
    samples = json.loads((task.stage_folders["data"] / "metrics.json").read_text(encoding="utf-8"))["validation"]
    return Study(
        title=f"{task.config.device.name} · {task.config.data.name} · study {study.study_name}",
        storage=storage,
        seed=task.config.seed,
        epochs=task.config.distill.epochs,
        samples=samples,
        words=task.words,
        trials=tuple(read(trial) for trial in trials),
        best=read(best) if best else None,
        parameters=parameters,
        importances=_importances(optuna, task, study, complete),
        settings=settings,
        assignments=tuple(space.assignments(settings)),
        at_edge=tuple(d.short for d in task.space if best and space.at_edge(d, best.params[d.key])),
    )


def _importances(optuna: Any, task: Task, study: Any, complete: Sequence[Any]) -> dict[str, float]:
    """Return each setting's importance by fANOVA (Hutter et al., 2014), the largest first; {} if trials are too few."""
    if len(complete) < FIRST or len({trial.value for trial in complete}) < 2 or len(task.space) < 2:
        return {}
    try:
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=task.config.seed)
        shares = optuna.importance.get_param_importances(study, evaluator=evaluator)
    except (RuntimeError, ValueError):  # there is no variance to attribute
        return {}
    names = {dimension.key: dimension.short for dimension in task.space}
    return {names[key]: float(share) for key, share in shares.items()}
