"""The search space: settings that the user names, or those of the config's losses, and how they enter a config."""

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
EDGE = 0.05  # the share of a range that counts as its end
DIGITS = 4  # the significant digits of a value, so that the printed value is the trained one
# The ranges (low, high, log) of options that many losses share: wider than those in the papers.
DEFAULT_RANGES = {"temperature": (1.0, 20.0, True), "hard": (0.0, 0.9, False)}


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; integers if `whole`, on a logarithmic scale if `log`."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Dimension:
    """One setting of the search space.

    Attributes:
        key: the setting's key; "distill.losses.NAME.OPTION" or "distill.losses.0.OPTION" for an option of a loss.
        among: a range, or the values to choose from.
    """

    key: str
    among: Range | tuple[Any, ...]

    @property
    def short(self) -> str:
        """The last two parts of the key, for tables and plots."""
        return ".".join(self.key.split(".")[-2:])


def parse(text: str) -> Dimension:
    """Parse an argument of `--search`: KEY=LOW:HIGH, KEY=LOW:HIGH:log or KEY=[VALUE, VALUE, ...].

    If both bounds are written as integers, the values are integers.
    """
    key, _, text_of_values = text.partition("=")
    match = re.fullmatch(r"\s*([^:\[\]]+):([^:\[\]]+?)(:log)?\s*", text_of_values)
    if match:
        return Dimension(key.strip(), _range(text, match[1], match[2], log=bool(match[3])))
    key, values = parse_setting(text) if "=" in text else (text, None)
    if not isinstance(values, list) or len(values) < 2:
        raise ConfigError(f"--search {text!r} is neither LOW:HIGH nor a list of values", EXAMPLE)
    return Dimension(key, tuple(values))


def default_dimensions(config: Config, layers: Mapping[int, Sequence[Sequence[str]]]) -> tuple[Dimension, ...]:
    """Return the default search space: the learning rate, and the weight, options and layers of each loss.

    The first loss keeps its weight: with the learning rate beside it, only the weights' ratios matter.

    Args:
        layers: the choices of layers for each loss, keyed by the index of the loss.
    """
    rate = config.distill.learning_rate
    dimensions = [Dimension("distill.learning_rate", Range(rate / 10, rate * 3, log=True))]
    weighted_losses = [(index, loss) for index, loss in enumerate(config.distill.losses) if loss.weight]
    for index, loss in weighted_losses:
        is_unique = [other.name for _, other in weighted_losses].count(loss.name) == 1 and loss.name.isidentifier()
        stem = f"{LOSSES}.{loss.name if is_unique else index}"
        signature = signatures.signature("loss", loss.name)
        options = signature.options if signature else ()
        dimensions += [
            Dimension(f"{stem}.{name}", Range(*DEFAULT_RANGES[name])) for name in options if name in DEFAULT_RANGES
        ]
        if index != weighted_losses[0][0]:
            dimensions.append(Dimension(f"{stem}.weight", Range(loss.weight / 10, loss.weight * 10, log=True)))
        if index in layers:
            dimensions.append(Dimension(f"{stem}.layers", tuple(list(choice) for choice in layers[index])))
    return tuple(dimensions)


def overrides(config: Config, values: Mapping[str, Any]) -> dict[str, Any]:
    """Convert values of dimensions to settings: {"distill.learning_rate": 0.03, "distill.losses": [...]}."""
    losses = [_without_empty_options(loss.model_dump(mode="json")) for loss in config.distill.losses]
    settings: dict[str, Any] = {}
    for key, value in values.items():
        if not key.startswith(f"{LOSSES}."):
            settings[key] = value
            continue
        settings[LOSSES] = losses
        name, _, option = key.removeprefix(f"{LOSSES}.").partition(".")
        losses[_index(losses, name, key)][option] = value
    return settings


def configured(
    target: str, config: Path | None, settings: SettingsLike, more: Mapping[str, Any] | None = None
) -> Config:
    """Resolve the config with some more settings."""
    pairs = settings.items() if isinstance(settings, Mapping) else map(parse_setting, settings)
    return configure(target, config, {**dict(pairs), **(more or {})})


def ends(dimension: Dimension) -> tuple[Any, ...]:
    """Return the values of a dimension that are checked before anything trains: the ends of a range, or all choices."""
    if isinstance(dimension.among, Range):
        low, high = dimension.among.low, dimension.among.high
        return (int(low), int(high)) if dimension.among.whole else (low, high)
    return dimension.among


def at_edge(dimension: Dimension, value: Any) -> bool:
    """Whether a value is in the outer twentieths of its range; an end at 0 does not count, as it is the lower bound."""
    among = dimension.among
    if not isinstance(among, Range):
        return False
    low, high, position = (math.log(x) if among.log else float(x) for x in (among.low, among.high, value))
    share = (position - low) / (high - low)
    return share > 1 - EDGE or (share < EDGE and among.low != 0)


def rounded(value: Any) -> Any:
    """Round a value to the digits with which it is trained and printed."""
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def assignments(settings: Mapping[str, Any]) -> list[str]:
    """Convert settings to arguments of --set: ["distill.learning_rate=0.03", ...]."""
    return [f"{key}={toml.value(value)}" for key, value in settings.items()]


def changes(settings: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a dumped config that differ from another one's, without None, which TOML can't express."""
    differences: dict[str, Any] = {}
    for key, value in settings.items():
        if isinstance(value, Mapping) and isinstance(base.get(key), Mapping):
            if inner := changes(value, base[key]):
                differences[key] = inner
        elif value is not None and value != base.get(key):
            differences[key] = (
                [_without_empty_options(each) for each in value] if isinstance(value, list) else copy.deepcopy(value)
            )
    return differences


def _without_empty_options(loss: Any) -> Any:
    """Return an entry of a list of losses without empty `options`, as a user writes it."""
    return {k: v for k, v in loss.items() if k != "options" or v} if isinstance(loss, Mapping) else loss


def _index(losses: Sequence[Mapping[str, Any]], name: str, key: str) -> int:
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
        result = Range(float(low), float(high), log, whole)
    except ValueError:
        raise ConfigError(f"--search {text!r}: {low}:{high} are no two numbers", EXAMPLE) from None
    if not result.low < result.high:
        raise ConfigError(f"--search {text!r}: {low} is not below {high}", EXAMPLE)
    if log and result.low <= 0:
        raise ConfigError(f"--search {text!r}: a logarithmic range starts above 0", EXAMPLE)
    return result
