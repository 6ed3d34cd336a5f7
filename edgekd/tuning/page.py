"""The HTML page of a search: the score of each trial, the importance of each setting, and the score of each value."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from edgekd.report.svg import Drawing, log_ticks, shorten, ticks
from edgekd.report.units import in_full
from edgekd.results import TaskWords

PACKAGE = Path(__file__).parents[1]
WIDTH = 720.0
SMALL = 350.0  # the width of a parameter's plot: two are side by side
# An axis reaches below the best trial by at most so many times the distance between the best and the median trial.
SPREAD = 8.0


@dataclass(frozen=True)
class Trial:
    """One training of a search.

    Attributes:
        state: "complete", "pruned" or "failed".
        value: the last score on validation data; None if there is none.
        epochs: the epochs after which that score was measured.
        values: the value of each setting.
        configured: whether the values are those of the config.
        error: the reason of a failure.
    """

    number: int
    state: str
    value: float | None
    epochs: int = 0
    values: Mapping[str, Any] = field(default_factory=dict)
    configured: bool = False
    error: str = ""


@dataclass(frozen=True)
class Parameter:
    """A setting of the search: its key, a short name, and whether it is a number, on a logarithmic scale or not."""

    key: str
    short: str
    log: bool = False
    of_numbers: bool = True


@dataclass(frozen=True)
class Study:
    """The results of a search.

    Attributes:
        storage: the URL of the study's storage, without passwords.
        seed: the seed of every training and of the search.
        epochs: the epochs of a training that is not pruned.
        samples: the number of validation samples.
        words: the words of the task whose score was tuned.
        importances: each setting's share of the variance by fANOVA, keyed by the setting's short name.
        settings, assignments: the best trial's settings, as a mapping and as texts for --set.
        at_edge: short names of the settings whose best value is at an end of its range, so that better ones may lie
            beyond.
    """

    title: str
    storage: str
    seed: int
    epochs: int
    samples: int
    words: TaskWords
    trials: tuple[Trial, ...]
    best: Trial | None
    parameters: tuple[Parameter, ...]
    importances: Mapping[str, float]
    settings: Mapping[str, Any]
    assignments: tuple[str, ...]
    at_edge: tuple[str, ...] = ()

    def score(self, trial: Trial) -> str:
        """Format the score of a trial that has one: 98.52 %."""
        return in_full(trial.value or 0.0, self.words.unit)

    @property
    def of(self) -> str:
        """The preposition between a score and its samples: a percentage of them, or another score on them."""
        return "of" if self.words.unit == "%" else "on"

    @property
    def configured(self) -> Trial | None:
        """The trial with the config's own values, if it was trained to its end."""
        return next((trial for trial in self.trials if trial.configured and trial.state == "complete"), None)


def page(study: Study) -> str:
    """Render the page, which is self-contained."""
    environment = Environment(
        loader=FileSystemLoader([Path(__file__).parent, PACKAGE / "report"]), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    scored_trials = [trial for trial in study.trials if trial.value is not None]
    return environment.get_template("page.html").render(
        study=study,
        history=_inline(history(scored_trials, study.words)) if scored_trials else "",
        matters=_inline(importances(study.importances)) if study.importances else "",
        plots=[
            (parameter.key, _inline(values(scored_trials, parameter, study.words))) for parameter in study.parameters
        ]
        if scored_trials
        else [],
    )


def history(trials: Sequence[Trial], words: TaskWords) -> Drawing:
    """Plot every trial as a dot, and the best score so far as a line."""
    left, right, top, bottom = 62.0, WIDTH - 24.0, 20.0, 244.0
    drawing = Drawing(WIDTH, 300, f"Validation {words.score} of each trial")
    low, high = _axis(trials, words)
    last = max(trial.number for trial in trials)

    def x(number: float) -> float:
        return left + (right - left) * (number + 0.5) / (last + 1)

    def y(value: float) -> float:
        return bottom - (bottom - top) * (min(max(value, low), high) - low) / (high - low)

    _scores(drawing, low, high, left, right, y, words)
    for tick in ticks(0, last, 8):
        if tick == int(tick):
            drawing.text(x(tick), bottom + 20, f"{tick:g}", "tick", "middle")
    drawing.line(left, bottom, right, bottom, "axis")
    drawing.text((left + right) / 2, bottom + 44, "trial", "label", "middle")
    steps: list[tuple[float, float]] = []
    best: float | None = None
    for trial in trials:
        if trial.state != "complete" or trial.value is None:
            continue
        if best is None or words.gain(trial.value, best) > 0:
            steps += [(x(trial.number), y(best))] if best is not None else []
            best = trial.value
            steps.append((x(trial.number), y(best)))
    if best is not None:
        drawing.path([*steps, (right, y(best))], "trail")
    for trial in trials:
        drawing.circle(x(trial.number), y(trial.value or 0.0), 5, _kind(trial), _hint(trial, words))
    return drawing


def importances(shares: Mapping[str, float]) -> Drawing:
    """Plot the importance of each setting as a bar."""
    left, room = 260.0, WIDTH - 260.0 - 60.0
    drawing = Drawing(WIDTH, 24.0 * len(shares) + 8, "Importance of each setting")
    for index, (name, share) in enumerate(shares.items()):
        top = 24.0 * index
        drawing.text(left - 12, top + 16, shorten(name, left - 16), "name", "end")
        drawing.rectangle(left, top + 4, max(room * share, 1.0), 14, "bar", f"{name}: {share:.3f}")
        drawing.text(left + room * share + 8, top + 16, f"{100 * share:.0f} %", "tick")
    return drawing


def values(trials: Sequence[Trial], parameter: Parameter, words: TaskWords) -> Drawing:
    """Plot the score of each trial against its value of one setting."""
    left, right, top, bottom = 56.0, SMALL - 14.0, 14.0, 170.0
    drawing = Drawing(SMALL, 222, f"Validation {words.score} against {parameter.key}")
    low, high = _axis(trials, words)
    trials_of_parameter = [trial for trial in trials if parameter.key in trial.values]

    def y(value: float) -> float:
        return bottom - (bottom - top) * (min(max(value, low), high) - low) / (high - low)

    _scores(drawing, low, high, left, right, y, words)
    drawing.line(left, bottom, right, bottom, "axis")
    drawing.text((left + right) / 2, bottom + 44, shorten(parameter.short, right - left), "label", "middle")
    place = _x_of_value(drawing, trials_of_parameter, parameter, left, right, bottom)
    for trial in trials_of_parameter:
        x = place(trial.values[parameter.key])
        drawing.circle(x, y(trial.value or 0.0), 4, _kind(trial), _hint(trial, words))
    return drawing


def _x_of_value(
    drawing: Drawing, trials: Sequence[Trial], parameter: Parameter, left: float, right: float, bottom: float
) -> Any:
    """Draw the axis, and return the function from a value to its x."""
    values = [trial.values[parameter.key] for trial in trials]
    if not parameter.of_numbers:
        names = sorted({str(value) for value in values})
        room = (right - left) / max(len(names), 1)
        for index, name in enumerate(names):
            drawing.text(left + room * (index + 0.5), bottom + 18, shorten(_label(name), room), "tick", "middle")
        return lambda value: left + room * (names.index(str(value)) + 0.5)
    scale = math.log if parameter.log else float
    first, last = scale(min(values, default=1)), scale(max(values, default=1))
    first, last = (first, last) if last > first else (first - 0.5, last + 0.5)

    def x(value: float) -> float:
        return left + 10 + (right - left - 20) * (scale(value) - first) / (last - first)

    marks = log_ticks(math.exp(first), math.exp(last)) if parameter.log else ticks(first, last, 4)
    for tick in marks[:: max(1, len(marks) // 5)]:
        drawing.text(x(tick), bottom + 18, f"{tick:g}", "tick", "middle")
    return x


def _label(name: str) -> str:
    """Return the label of a choice on an axis; of a list its only item, or the number of items."""
    if not name.startswith("["):
        return name
    items = json.loads(name)
    return str(items[0]) if len(items) == 1 else f"{len(items)} together"


def _axis(trials: Sequence[Trial], words: TaskWords) -> tuple[float, float]:
    """Return the ends of an axis from the worst trial to the best, cut so that the good ones stay distinguishable."""
    scores = sorted((trial.value for trial in trials if trial.value is not None), reverse=not words.higher_is_better)
    best, upper_half = scores[-1], scores[len(scores) // 2]
    least, room = (2.0, 0.1) if words.unit == "%" else (abs(best) / 10, abs(best) / 200)
    furthest = max(SPREAD * abs(best - upper_half), least)
    worst = max(scores[0], best - furthest) if words.higher_is_better else min(scores[0], best + furthest)
    low, high = sorted((worst, best))
    room = max(0.08 * (high - low), room)
    return low - room, high + room


def _scores(drawing: Drawing, low: float, high: float, left: float, right: float, y: Any, words: TaskWords) -> None:
    for tick in ticks(low, high if words.highest is None else min(high, words.highest)):
        drawing.line(left, y(tick), right, y(tick), "grid")
        drawing.text(left - 8, y(tick) + 4, f"{tick:g} {words.unit}", "tick", "end")


def _kind(trial: Trial) -> str:
    return {"complete": "point", "failed": "point bad"}.get(trial.state, "point alone")


def _hint(trial: Trial, words: TaskWords) -> str:
    settings = ", ".join(f"{key} = {value}" for key, value in trial.values.items())
    return f"trial {trial.number}, {trial.state}: {in_full(trial.value or 0.0, words.unit)}; {settings}"


def _inline(drawing: Drawing) -> Markup:
    """Mark a drawing's text as safe: ElementTree has escaped it."""
    return Markup(str(drawing))
