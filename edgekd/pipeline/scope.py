"""A view of the config with the settings that a stage declares; reading another one is an error.

So no key can miss a setting on which a result depends. A name is a section ("prune"), one setting of it
("distill.losses"), or a value that follows from several ("stored_views"). `seed` may always be read, and so may
`compute`, which says where a stage runs and is not part of a key.
"""

from collections.abc import Collection
from typing import Any

from edgekd.config import Config, Settings

ALWAYS = ("seed", "compute")
# A key holds fingerprints of the files instead of these paths: a data set may move.
TEACHER = ("checkpoint", "file", "answers")
POINTERS: dict[str, Any] = {
    "data": {"root"},
    "teacher": {**dict.fromkeys(TEACHER, True), "also": {"__all__": set(TEACHER)}},
    "student": {"checkpoint"},
}


class UndeclaredSettingError(Exception):
    """A stage reads a setting that its row in the table of stages does not declare: a bug in edgekd."""


class Scope:
    """A view of a Config or of one of its sections with the declared settings only."""

    def __init__(self, stage: str, source: Any, names: Collection[str], prefix: str = "") -> None:
        self._stage, self._source, self._names, self._prefix = stage, source, names, prefix

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        path = f"{self._prefix}{name}"
        if path in self._names:
            return getattr(self._source, name)
        if any(setting.startswith(f"{path}.") for setting in self._names):
            return Scope(self._stage, getattr(self._source, name), self._names, f"{path}.")
        raise UndeclaredSettingError(
            f"the stage {self._stage!r} reads {path}, which its row in pipeline.STAGES does not declare"
        )

    def __repr__(self) -> str:
        return f"<config of the stage {self._stage!r}: {', '.join(sorted(self._names))}>"


def scoped(config: Config, stage: str, names: Collection[str]) -> Config:
    """Return the view of the config for a stage."""
    view: Any = Scope(stage, config, frozenset((*names, *ALWAYS)))
    return view  # type: ignore[no-any-return]


def as_json(config: Config, names: Collection[str]) -> dict[str, Any]:
    """Return the declared settings and the seed in JSON's types, for a key."""
    settings: dict[str, Any] = {"seed": config.seed}
    for name in names:
        section, _, field = name.partition(".")
        value = getattr(config, section)
        if not isinstance(value, Settings):
            settings[name] = value
            continue
        values = value.model_dump(mode="json", exclude=POINTERS.get(section))
        settings[name] = values[field] if field else values
    return settings
