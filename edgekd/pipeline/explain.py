"""What a build would do with each stage, and why, without running any: `edgekd explain`."""

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
    """What a build would do with a stage.

    Attributes:
        runs: whether the stage would run; it would be reused otherwise.
        says: the same in words, with the reason.
    """

    stage: str
    runs: bool
    says: str


def outcomes(
    config: Config, store: Path | str | None = None, *, stages: tuple[Stage, ...] = STAGES
) -> tuple[Outcome, ...]:
    """What a build would do with each stage, in order. Nothing is run or written, and torch is not imported.

    Args:
        store: folder of finished work; `.edgekd` by default.

    Raises:
        ConfigError: a module that the config names is not Python.
        StoreError: finished work that a build would reuse is damaged.
    """
    _, work_store = folders(config, None, store)
    made: dict[str, Path] = {}  # where each stage's work lies or will lie: its key is known before it is made
    rows: list[Outcome] = []
    for stage in stages:
        if not stage.cached:
            rows.append(Outcome(stage.name, True, "would run: its work is never kept"))
            continue
        wanted = recipe(stage, config, made)
        made[stage.name] = work_store.finished(wanted)
        artifact = work_store.find(wanted)
        rerun = [row.stage for row in rows if row.runs]
        says = reuse(artifact) if artifact else _why_it_runs(stage, wanted, work_store, rerun)
        rows.append(Outcome(stage.name, artifact is None, says))
    return tuple(rows)


def _why_it_runs(stage: Stage, wanted: Recipe, store: Store, rerun: Collection[str]) -> str:
    if stage.trains and store.has_unfinished(wanted):
        return "would go on from unfinished work"
    differences = compare_with_nearest(wanted, store.records(stage.name))
    return f"would run because {reason(differences, rerun)}" if differences else "would run: never made before"
