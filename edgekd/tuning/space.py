"""The settings that a search varies: written by the user or chosen from the config's losses, and put into a config."""

import copy
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd.catalog import signatures
from edgekd.config import Config, toml
from edgekd.config.resolve import SettingsLike, configure, parse_setting
from edgekd.errors import ConfigError

LOSSES = "distill.losses"
EXAMPLE = "--search distill.learning_rate=0.01:0.3:log"
EDGE = 0.05  # of a range
DIGITS = 4  # of a value that is tried, so that what is printed is what was trained
# The ranges of options that many losses share, (low, high, log): those that the papers try, and some more.
USUAL = {"temperature": (1.0, 20.0, True), "hard": (0.0, 0.9, False)}


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; `whole` ones alone, or evenly spread on a logarithmic scale."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Dimension:
    """Attributes:
    key: of a setting; "distill.losses.NAME.OPTION" or "distill.losses.0.OPTION" for what stands in a loss.
    among: a range, or the values to choose from.
    """

    key: str
    among: Range | tuple[Any, ...]

    @property
    def short(self) -> str:
        """For tables and plots: the last two steps of the key."""
        return ".".join(self.key.split(".")[-2:])


def parse(text: str) -> Dimension:
    """What follows `--search`: KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=[VALUE, VALUE, ...].

    Bounds that are both written as whole numbers ask for whole numbers.
    """
    key, _, written = text.partition("=")
    found = re.fullmatch(r"\s*([^:\[\]]+):([^:\[\]]+?)(:log)?\s*", written)
    if found:
        return Dimension(key.strip(), _range(text, found[1], found[2], log=bool(found[3])))
    key, values = parse_setting(text) if "=" in text else (text, None)
    if not isinstance(values, list) or len(values) < 2:
        raise ConfigError(f"--search {text!r} is neither LOW:HIGH nor a list of values", EXAMPLE)
    return Dimension(key, tuple(values))


def usual(config: Config, layers: Mapping[int, Sequence[Sequence[str]]]) -> tuple[Dimension, ...]:
    """What is searched when nobody says what: the learning rate, and of each loss its weight, options and layers.

    The first loss keeps its weight: with the learning rate beside it, only the weights' ratios matter.

    Args:
        layers: place of a loss -> what to try as its layers.
    """
    rate = config.distill.learning_rate
    found = [Dimension("distill.learning_rate", Range(rate / 10, rate * 3, log=True))]
    used = [(place, loss) for place, loss in enumerate(config.distill.losses) if loss.weight]
    for place, loss in used:
        alone = [other.name for _, other in used].count(loss.name) == 1 and loss.name.isidentifier()
        stem = f"{LOSSES}.{loss.name if alone else place}"
        known = signatures.signature("loss", loss.name)
        options = known.options if known else ()
        found += [Dimension(f"{stem}.{name}", Range(*USUAL[name])) for name in options if name in USUAL]
        if place != used[0][0]:
            found.append(Dimension(f"{stem}.weight", Range(loss.weight / 10, loss.weight * 10, log=True)))
        if place in layers:
            found.append(Dimension(f"{stem}.layers", tuple(list(choice) for choice in layers[place])))
    return tuple(found)


def overrides(config: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of dimensions as settings: {"distill.learning_rate": 0.03, "distill.losses": [...]}."""
    losses = [_written(loss.model_dump(mode="json")) for loss in config.distill.losses]
    settings: dict[str, Any] = {}
    for key, value in values.items():
        if not key.startswith(f"{LOSSES}."):
            settings[key] = value
            continue
        settings[LOSSES] = losses
        name, _, option = key.removeprefix(f"{LOSSES}.").partition(".")
        losses[_place(losses, name, key)][option] = value
    return settings


def configured(
    target: str, config: Path | None, settings: SettingsLike, more: Mapping[str, Any] | None = None
) -> Config:
    """The whole config with some more settings, checked as always."""
    pairs = settings.items() if isinstance(settings, Mapping) else map(parse_setting, settings)
    return configure(target, config, {**dict(pairs), **(more or {})})


def ends(dimension: Dimension) -> tuple[Any, ...]:
    """Values that stand for all of a dimension, to be checked before anything trains."""
    if isinstance(dimension.among, Range):
        low, high = dimension.among.low, dimension.among.high
        return (int(low), int(high)) if dimension.among.whole else (low, high)
    return dimension.among


def at_edge(dimension: Dimension, value: Any) -> bool:
    """Whether a value lies in the outer twentieths of its range; 0 is an end that nothing lies beyond."""
    among = dimension.among
    if not isinstance(among, Range):
        return False
    low, high, at = (math.log(x) if among.log else float(x) for x in (among.low, among.high, value))
    place = (at - low) / (high - low)
    return place > 1 - EDGE or (place < EDGE and among.low != 0)


def rounded(value: Any) -> Any:
    """A value as it is tried and printed."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def assignments(settings: Mapping[str, Any]) -> list[str]:
    """["distill.learning_rate=0.03", ...], as they stand after --set."""
    return [f"{key}={toml.value(value)}" for key, value in settings.items()]


def changes(found: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """What of a dumped config differs from another one's; TOML has no word for None, so that is left out."""
    differing: dict[str, Any] = {}
    for key, value in found.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            if inner := changes(value, base[key]):
                differing[key] = inner
        elif value is not None and value != base.get(key):
            differing[key] = [_written(each) for each in value] if isinstance(value, list) else copy.deepcopy(value)
    return differing


def _written(loss: Any) -> Any:
    """An entry of a list of parts as a user writes it: without empty `options`."""
    return {k: v for k, v in loss.items() if k != "options" or v} if isinstance(loss, Mapping) else loss


def _place(losses: Sequence[Mapping[str, Any]], name: str, key: str) -> int:
    names = [loss["name"] for loss in losses]
    if name.isdigit() and int(name) < len(losses):
        return int(name)
    if names.count(name) == 1:
        return names.index(name)
    several = "more than one" if name in names else "no"
    raise ConfigError(
        f"--search {key}: {LOSSES} has {several} {name!r}",
        f"{LOSSES}.0.{key.rpartition('.')[2]}, by its place among {', '.join(names)}",
    )


def _range(text: str, low: str, high: str, *, log: bool) -> Range:
    try:
        whole = all(re.fullmatch(r"[+-]?\d+", bound.strip()) for bound in (low, high))
        found = Range(float(low), float(high), log, whole)
    except ValueError:
        raise ConfigError(f"--search {text!r}: {low}:{high} are no two numbers", EXAMPLE) from None
    if not found.low < found.high:
        raise ConfigError(f"--search {text!r}: {low} is not below {high}", EXAMPLE)
    if log and found.low <= 0:
        raise ConfigError(f"--search {text!r}: a logarithmic range starts above 0", EXAMPLE)
    return found
