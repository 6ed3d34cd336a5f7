"""A config trimmed to what a stage declares: reading more is refused, so that no key misses what a result depends on.

A name is a section ("prune"), one setting of it ("distill.losses"), or what follows from several ("stored_views").
`seed` may always be read, and so may `compute`, which says where a stage runs and is no part of a key.
"""

from collections.abc import Collection
from typing import Any

from edgekd.config import Config, Settings

ALWAYS = ("seed", "compute")
# A key holds a fingerprint of what these point to instead: a data set may move.
TEACHER = ("checkpoint", "file", "answers")
POINTERS: dict[str, Any] = {
    "data": {"root"},
    "teacher": {**dict.fromkeys(TEACHER, True), "also": {"__all__": set(TEACHER)}},
    "student": {"checkpoint"},
}


class UndeclaredSettingError(Exception):
    """A stage reads a setting that the table of stages does not give it: a bug in edgekd."""


class Scope:
    """Stands in for a Config, or for a section of it, and gives out only what was declared."""

    def __init__(self, stage: str, of: Any, names: Collection[str], at: str = "") -> None:
        self._stage, self._of, self._names, self._at = stage, of, names, at

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        path = f"{self._at}{name}"
        if path in self._names:
            return getattr(self._of, name)
        if any(declared.startswith(f"{path}.") for declared in self._names):
            return Scope(self._stage, getattr(self._of, name), self._names, f"{path}.")
        raise UndeclaredSettingError(
            f"the stage {self._stage!r} reads {path}, which its row in pipeline.STAGES does not declare"
        )

    def __repr__(self) -> str:
        return f"<config of the stage {self._stage!r}: {', '.join(sorted(self._names))}>"


def scoped(config: Config, stage: str, names: Collection[str]) -> Config:
    """The config as a stage sees it."""
    view: Any = Scope(stage, config, frozenset((*names, *ALWAYS)))
    return view  # type: ignore[no-any-return]


def as_json(config: Config, names: Collection[str]) -> dict[str, Any]:
    """The declared settings and the seed in JSON's types, for a key."""
    settings: dict[str, Any] = {"seed": config.seed}
    for name in names:
        section, _, field = name.partition(".")
        chosen = getattr(config, section)
        if not isinstance(chosen, Settings):
            settings[name] = chosen
            continue
        dumped = chosen.model_dump(mode="json", exclude=POINTERS.get(section))
        settings[name] = dumped[field] if field else dumped
    return settings
