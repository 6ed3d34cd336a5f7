"""The first stages of a build, for benchmarks of teaching alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd.config.resolve import configure
from edgekd.pipeline.build import STAGES, to_stderr
from edgekd.pipeline.ranks import ALONE
from edgekd.pipeline.stage import run_cached
from edgekd.pipeline.store import Artifact, Store


def distill(settings: Mapping[str, Any], store: Path, last: str = "distill") -> dict[str, Artifact]:
    """Stage -> its finished work, metrics and all. What `store` holds is reused: runs of one seed share a teacher."""
    asked = configure("rpi4", None, settings)
    made: dict[str, Artifact] = {}
    for stage in STAGES:
        folders = {name: artifact.folder for name, artifact in made.items()}
        made[stage.name] = run_cached(stage, asked, folders, Store(store), ALONE, to_stderr)
        if stage.name == last:
            break
    return made
