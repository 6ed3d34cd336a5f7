"""The proof of a build once more, on the files that lie in its output folder now."""

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
    """Prove again that the files now in `out` compute what was trained.

    Raises:
        ParityError: they do not.
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
    """`verify` on a resolved config."""
    out, work_store = folders(config, out, store)
    again = f"edgekd build --target {config.device.name}, with the same settings"
    stage = next(stage for stage in stages if stage.name == "verify")
    finished = _finished(stages, config, work_store)
    missing = [name for name in stage.reads if name not in finished]
    if missing:
        raise StoreError(f"{work_store.root} holds no finished {missing[0]} of this build", again)
    read = {name: finished[name] for name in stage.reads}
    with scratch_folder(work_store, "verify") as scratch:
        read["export"], changed = _as_delivered(read["export"], out, scratch, again)
        result = scratch / "verify"
        result.mkdir()
        try:
            metrics = stage.load().run(view(stage, config), read, result)
        except Exception as error:
            # Runtimes raise what they like on a file that is none of theirs; on one that edgekd wrote they should not.
            if not changed:
                raise
            why = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise ParityError(f"{', '.join(changed)} in {out} can't be run: {why}", again) from error
        boundaries = TypeAdapter(tuple[Boundary, ...]).validate_json((result / "boundaries.json").read_bytes())
    if not metrics["passed"]:
        failed = ", ".join(_failure(row) for row in boundaries if row.passed is False)
        named = f"; {', '.join(changed)} in {out} is not the file that was built" if changed else ""
        raise ParityError(f"{failed}: the outputs differ from those that were to be the same{named}", again)
    return boundaries


def _failure(row: Boundary) -> str:
    """A boundary that did not pass, with the layer at which it parts from the one before."""
    first = sentences.first_difference(row)
    return f"{row.name} ({first})" if first else row.name


def _finished(stages: tuple[Stage, ...], config: Config, store: Store) -> dict[str, Path]:
    """Stage -> folder of its finished work, as far as the chain of keys leads."""
    found: dict[str, Path] = {}
    for stage in stages:
        if not stage.cached or any(name not in found for name in stage.reads):
            continue
        artifact = store.find(recipe(stage, config, found))
        if artifact is not None:
            found[stage.name] = artifact.folder
    return found


def _as_delivered(export: Path, out: Path, scratch: Path, again: str) -> tuple[Path, list[str]]:
    """The export's folder with the files that lie in `out` now, and the names of those that are not what was built."""
    candidate = scratch / "export"
    changed = []
    with writing(scratch):
        shutil.copytree(export, candidate)
        for name in delivered_files():
            if not (candidate / name).exists():
                continue
            if not (out / name).is_file():
                raise StoreError(f"{out / name} is not there", again)
            if file_sha256(out / name) != file_sha256(candidate / name):
                changed.append(name)
            shutil.copyfile(out / name, candidate / name)
    return candidate, changed
