"""What a config names of the catalog."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from edgekd.config import Config, Part, Source


@dataclass(frozen=True)
class Named:
    """Something in a config that names a catalog entry.

    Attributes:
        section: where; `setting` is the name's own key.
        options: for the entry.
        settings: names of the section's own fields.
    """

    section: str
    setting: str
    kind: str
    name: str
    options: Mapping[str, Any]
    settings: tuple[str, ...]


def parts(config: Config) -> tuple[Named, ...]:
    """Everything in a config that names a catalog entry."""
    entries = [
        Named("", "task", "task", config.task, {}, ()),
        _named("data", "name", "data set", config.data),
        _named("teacher", "model", "model", config.teacher),
        _named("student", "model", "model", config.student),
        _named("distill.scheme", "name", "scheme", config.distill.scheme),
        *(_named(f"distill.losses[{i}]", "name", "loss", loss) for i, loss in enumerate(config.distill.losses)),
    ]
    if config.prune.criterion != "none":
        entries.append(_named("prune", "criterion", "criterion", config.prune))
    for i, other in enumerate(config.teacher.also):
        entries.append(_named(f"teacher.also[{i}]", "model", "model", other))
    for section, source in teachers(config):
        if source.call is not None:
            entries.append(Named(section, f"{section}.call", "teacher", source.call, {}, ()))
    return tuple(entries)


def teachers(config: Config) -> Iterator[tuple[str, Source]]:
    """(section, teacher) of each."""
    yield "teacher", config.teacher
    yield from ((f"teacher.also[{i}]", other) for i, other in enumerate(config.teacher.also))


def _named(section: str, field: str, kind: str, part: Part) -> Named:
    settings = tuple(type(part).model_fields)
    return Named(section, f"{section}.{field}", kind, getattr(part, field), part.entry_options(), settings)
