"""The reasons why a stage runs again although the store holds finished work of it, for builds and `edgekd explain`."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import zip_longest
from typing import Any, Literal

from edgekd.config import Config, toml
from edgekd.pipeline.store import Artifact, Recipe, Record

ABSENT: Any = object()
"""A marker for a value that only the other recipe has."""

LONGEST_VALUE = 60  # characters of a setting's value, so that a reason stays one line

Kind = Literal["version", "setting", "file", "code", "stage"]


@dataclass(frozen=True)
class Difference:
    """One way in which a recipe differs from that of finished work.

    Attributes:
        kind: what differs: the version of the stage's code, a setting, the contents of a file that a setting names,
            the code of the user's own module, or the work of an earlier stage.
        name: the setting ("distill.losses[0].temperature"), the setting that names the file ("data.root"), the
            module ("mypkg.nets:Tiny") or the earlier stage; empty for the version.
        before, now: the version, the setting's value, or a hash of the contents; ABSENT where there is none.
    """

    kind: Kind
    name: str
    before: Any
    now: Any


def compare(current: Recipe, previous: Recipe) -> tuple[Difference, ...]:
    """Return the differences of two recipes of a stage: version, settings, files, code, then earlier stages.

    A recipe holds the keys of the earlier stages' work, so no stage needs to run for the comparison.
    """
    version = _differing("version", {"": previous.version}, {"": current.version})
    settings = list(_settings(previous.settings, current.settings, ""))
    settings = [each for each in settings if not _follows_from_others(each.name)] or settings
    contents = _differing("file", previous.fingerprints, current.fingerprints)
    files = [each for each in contents if ":" not in each.name]
    code = [replace(each, kind="code") for each in contents if ":" in each.name]
    if settings:  # a module that only one of them has is named by a setting, which is listed already
        code = [each for each in code if ABSENT not in (each.before, each.now)]
    return (*version, *settings, *files, *code, *_differing("stage", previous.inputs, current.inputs))


def compare_with_nearest(current: Recipe, records: Iterable[Record]) -> tuple[Difference, ...]:
    """Return the differences from the nearest finished work: that with the fewest differences, then the most recent.

    The result is empty if the stage has no finished work at all.
    """
    latest_first = sorted(records, key=lambda record: datetime.fromisoformat(record.created), reverse=True)
    return min((compare(current, record.recipe) for record in latest_first), key=len, default=())


def reason(differences: Sequence[Difference], running: Collection[str] = ()) -> str:
    """Describe the first difference, and count the others.

    Args:
        differences: at least one.
        running: the earlier stages that the same build runs. Each has its own reason, and is not counted here.
    """
    first, *others = differences
    others = [each for each in others if each.kind != "stage" or each.name not in running]
    if not others:
        return _words(first, running)
    return f"{_words(first, running)}, and {len(others)} more difference{'s' if len(others) > 1 else ''}"


def rerun_line(differences: Sequence[Difference], running: Collection[str] = ()) -> str:
    """Return what a build logs of a stage that it runs again. The arguments are those of `reason`."""
    only_settings = all(difference.kind == "setting" for difference in differences)
    note = " (the store keeps the other: same settings, same work)" if only_settings else ""
    return f"runs again: {reason(differences, running)}{note}"


def reuse(artifact: Artifact) -> str:
    """Describe finished work that is used again."""
    time = datetime.fromisoformat(artifact.created).strftime("%d %b %H:%M")
    return f"reused {artifact.key[:8]} (finished {time})"


def _words(difference: Difference, running: Collection[str]) -> str:
    name, before, now = difference.name, difference.before, difference.now
    match difference.kind:
        case "version":
            return f"the stage's code is {'newer' if now > before else 'older'}: version {now}, was {before}"
        case "setting":
            origin = ", which follows from other settings," if _follows_from_others(name) else ""
            return f"{name}{origin} was {_value(before)}, is {_value(now)}"
        case "file" if before is ABSENT:
            return f"{name} was not set, is set"
        case "file" if now is ABSENT:
            return f"{name} was set, is not set"
        case "file":
            return f"{name} has other contents"
        case "code":
            return f"{name} was changed"
        case "stage":
            return f"{name} is another: it runs again" if name in running else f"{name} is another"


def _value(value: Any) -> str:
    """Format a setting's value in one line of TOML."""
    if value is ABSENT:
        return "left out"
    if value is None:
        return "not set"
    if isinstance(value, Mapping):
        value = {name: each for name, each in value.items() if each not in (None, {}, [])}
    text = toml.value(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"


def _settings(before: Any, now: Any, name: str) -> Iterator[Difference]:
    """Yield the settings that differ; tables and lists of tables are compared entry by entry."""
    if isinstance(before, Mapping) and isinstance(now, Mapping):
        for key, old, new in _pairs(before, now):
            yield from _settings(old, new, f"{name}.{key}" if name else key)
    elif _is_list_of_tables(before) and _is_list_of_tables(now):
        for number, (old, new) in enumerate(zip_longest(before, now, fillvalue=ABSENT)):
            yield from _settings(old, new, f"{name}[{number}]")
    elif ABSENT in (before, now) or _canonical(before) != _canonical(now):
        yield Difference("setting", name, before, now)


def _pairs(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield (name, before, now) for each name that either mapping has."""
    for name in {**now, **before}:
        yield name, before.get(name, ABSENT), now.get(name, ABSENT)


def _differing(kind: Kind, before: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[Difference, ...]:
    return tuple(Difference(kind, name, old, new) for name, old, new in _pairs(before, now) if old != new)


def _follows_from_others(setting: str) -> bool:
    """Whether a setting follows from other settings, as `stored_views` does."""
    return setting.partition(".")[0] not in Config.model_fields


def _is_list_of_tables(value: Any) -> bool:
    return isinstance(value, list) and any(isinstance(each, Mapping) for each in value)


def _canonical(value: Any) -> str:
    """Return the value's text in a key: 4 and 4.0 are equal numbers, but give different keys."""
    return json.dumps(value, sort_keys=True)
