"""`edgekd verify`: the verify stage once more, on the files that are in a build's output folder now."""

import shutil
from pathlib import Path

from pydantic import TypeAdapter

from edgekd.catalog.forms import delivered_files
from edgekd.config import Config
from edgekd.config.resolve import SettingsLike, configure
from edgekd.disk import file_sha256, writing
from edgekd.errors import ParityError, StoreError
from edgekd.pipeline.build import STAGES, folders
from edgekd.pipeline.stage import Stage, recipe, scratch_folder, view
from edgekd.pipeline.store import Store
from edgekd.report import sentences
from edgekd.results import Boundary


def verify(
    target: str,
    config: Path | str | None = None,
    settings: SettingsLike = (),
    out: Path | str | None = None,
    store: Path | str | None = None,
) -> tuple[Boundary, ...]:
    """Verify again that the files in `out` compute what was trained. The arguments are those of `build`.

    Raises:
        ParityError: an output differs that must not.
        StoreError: the finished work of their build is no longer there.
    """
    resolved = configure(target, config, settings)
    return verify_files(resolved, out, store)


def verify_files(
    config: Config,
    out: Path | str | None = None,
    store: Path | str | None = None,
    *,
    stages: tuple[Stage, ...] = STAGES,
) -> tuple[Boundary, ...]:
    """Verify the files of a resolved config."""
    out, work_store = folders(config, out, store)
    remedy = f"edgekd build --target {config.device.name}, with the same settings"
    stage = next(stage for stage in stages if stage.name == "verify")
    stage_folders = _finished_work(stages, config, work_store)
    missing = [name for name in stage.reads if name not in stage_folders]
    if missing:
        raise StoreError(f"{work_store.root} holds no finished {missing[0]} of this build", remedy)
    inputs = {name: stage_folders[name] for name in stage.reads}
    with scratch_folder(work_store, "verify") as scratch:
        inputs["export"], changed_files = _with_delivered_files(inputs["export"], out, scratch, remedy)
        result = scratch / "verify"
        result.mkdir()
        try:
            metrics = stage.load().run(view(stage, config), inputs, result)
        except Exception as error:
            # A runtime may raise any error on a file that it can't read; on one that edgekd wrote, that would be a bug.
            if not changed_files:
                raise
            reason = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ParityError(f"{', '.join(changed_files)} in {out} can't be run: {reason}", remedy) from error
        boundaries = TypeAdapter(tuple[Boundary, ...]).validate_json((result / "boundaries.json").read_bytes())
    if not metrics["passed"]:
        failed = ", ".join(_failure(row) for row in boundaries if row.passed is False)
        suffix = f"; {', '.join(changed_files)} in {out} is not the file that was built" if changed_files else ""
        raise ParityError(f"{failed}: the outputs differ from those that were to be the same{suffix}", remedy)
    return boundaries


def _failure(row: Boundary) -> str:
    """Name a failed boundary and the first layer at which it differs from the one before."""
    first = sentences.first_difference(row)
    return f"{row.name} ({first})" if first else row.name


def _finished_work(stages: tuple[Stage, ...], config: Config, store: Store) -> dict[str, Path]:
    """Return the folder of each stage's finished work, as far as the store holds it without a gap."""
    stage_folders: dict[str, Path] = {}
    for stage in stages:
        if not stage.cached or any(name not in stage_folders for name in stage.reads):
            continue
        artifact = store.find(recipe(stage, config, stage_folders))
        if artifact is not None:
            stage_folders[stage.name] = artifact.folder
    return stage_folders


def _with_delivered_files(export: Path, out: Path, scratch: Path, remedy: str) -> tuple[Path, list[str]]:
    """Copy the export with the files that are in `out` now, and name those that are not what was built."""
    candidate = scratch / "export"
    changed_files = []
    with writing(scratch):
        shutil.copytree(export, candidate)
        for name in delivered_files():
            if not (candidate / name).exists():
                continue
            if not (out / name).is_file():
                raise StoreError(f"{out / name} is not there", remedy)
            if file_sha256(out / name) != file_sha256(candidate / name):
                changed_files.append(name)
            shutil.copyfile(out / name, candidate / name)
    return candidate, changed_files
