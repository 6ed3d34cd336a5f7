"""The first stages of a build, for benchmarks of distillation alone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgekd.config.resolve import configure
from edgekd.pipeline.build import STAGES, to_stderr
from edgekd.pipeline.ranks import ALONE
from edgekd.pipeline.stage import run_cached
from edgekd.pipeline.store import Artifact, Store


def distill(settings: Mapping[str, Any], store: Path, last: str = "distill") -> dict[str, Artifact]:
    """Run the stages up to `last`, and return the finished work of each; work in `store` is reused."""
    config = configure("rpi4", None, settings)
    artifacts: dict[str, Artifact] = {}
    for stage in STAGES:
        folders = {name: artifact.folder for name, artifact in artifacts.items()}
        artifacts[stage.name] = run_cached(stage, config, folders, Store(store), ALONE, to_stderr)
        if stage.name == last:
            break
    return artifacts
