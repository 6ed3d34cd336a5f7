"""`edgekd explain`: which stages a build would run or reuse, and why, without running any."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edgekd.config import Config
from edgekd.pipeline.build import STAGES, folders
from edgekd.pipeline.reasons import compare_with_nearest, reason, reuse
from edgekd.pipeline.stage import Stage, recipe
from edgekd.pipeline.store import Recipe, Store


@dataclass(frozen=True)
class Outcome:
    """The result for one stage.

    Attributes:
        runs: whether a build would run the stage; otherwise it would reuse finished work.
        says: the outcome in words, with the reason.
    """

    stage: str
    runs: bool
    says: str


def outcomes(
    config: Config, store: Path | str | None = None, *, stages: tuple[Stage, ...] = STAGES
) -> tuple[Outcome, ...]:
    """Return the outcome of each stage in order. Nothing is run or written, and torch is not imported.

    Args:
        store: the folder of finished work; `.edgekd` by default.

    Raises:
        ConfigError: a module that the config names is not Python.
        StoreError: finished work that a build would reuse is damaged.
    """
    _, work_store = folders(config, None, store)
    stage_folders: dict[str, Path] = {}  # known in advance, because a folder is named by the key of its work
    rows: list[Outcome] = []
    for stage in stages:
        if not stage.cached:
            rows.append(Outcome(stage.name, True, "would run: its work is never kept"))
            continue
        stage_recipe = recipe(stage, config, stage_folders)
        stage_folders[stage.name] = work_store.finished(stage_recipe)
        artifact = work_store.find(stage_recipe)
        running = [row.stage for row in rows if row.runs]
        says = reuse(artifact) if artifact else _reason_to_run(stage, stage_recipe, work_store, running)
        rows.append(Outcome(stage.name, artifact is None, says))
    return tuple(rows)


def _reason_to_run(stage: Stage, stage_recipe: Recipe, store: Store, running: Collection[str]) -> str:
    if stage.trains and store.has_unfinished(stage_recipe):
        return "would go on from unfinished work"
    differences = compare_with_nearest(stage_recipe, store.records(stage.name))
    return f"would run because {reason(differences, running)}" if differences else "would run: never made before"
