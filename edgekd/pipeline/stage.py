"""One stage of a build: its recipe, and how its work is reused or run, published and logged."""

import errno
import fcntl
import importlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgekd import catalog
from edgekd.config import Config
from edgekd.disk import write_error, writing
from edgekd.errors import StoreError
from edgekd.pipeline import reasons
from edgekd.pipeline.fingerprints import Fingerprint
from edgekd.pipeline.ranks import Processes
from edgekd.pipeline.scope import as_json, scoped
from edgekd.pipeline.store import METRICS, Artifact, Recipe, Store
from edgekd.pipeline.versions import stage_version
from edgekd.report.units import in_full

Log = Callable[[str], None]
SCRATCH_PREFIX = "aside-"  # the prefix of scratch folders whose work is not kept


@dataclass(frozen=True)
class Stage:
    """One row of the table.

    Attributes:
        reads: the stages whose artifacts it opens.
        settings: the sections or single settings of the config that it may read, besides `seed` and `compute`.
        limit_settings: further settings that it may read if the network is pruned until the target's limits are met.
        fingerprints: what its key holds besides the settings.
        trains: whether every process under torchrun runs it; other stages run in the main process alone.
        cached: whether its work is kept in the store and reused.
        module: the module with its `run`; `edgekd.stages.<name>` by default.
    """

    name: str
    reads: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    limit_settings: tuple[str, ...] = ()
    fingerprints: tuple[Fingerprint, ...] = ()
    trains: bool = False
    cached: bool = True
    module: str = ""

    @property
    def module_name(self) -> str:
        """The module with the stage's code."""
        return self.module or f"edgekd.stages.{self.name}"

    @property
    def version(self) -> int:
        """The version of the stage's code, read without importing it."""
        loaded = sys.modules.get(self.module_name)
        return int(loaded.VERSION) if loaded else stage_version(self.module_name)

    def load(self) -> Any:
        """Import the stage's module, and torch with it."""
        return importlib.import_module(self.module_name)

    def precheck(self, config: Config, data: Path) -> None:
        """Run the stage's own check, if it has one, so that its errors are raised before anything trains."""
        check = getattr(self.load(), "precheck", None)
        if check is not None:
            check(config, data)

    def declares(self, config: Config) -> tuple[str, ...]:
        """Return the settings that the stage may read of this config."""
        return self.settings + (self.limit_settings if config.prune.until == "limits" else ())


def recipe(stage: Stage, config: Config, stage_folders: Mapping[str, Path]) -> Recipe:
    """Return the recipe of a stage's work; the same recipe gives the same work.

    Args:
        stage_folders: the folder of each earlier stage's finished work, which is named by its key.
    """
    fingerprints: dict[str, str] = {}
    for fingerprint in stage.fingerprints:
        fingerprints |= fingerprint(config)
    inputs = {name: stage_folders[name].name for name in stage.reads}
    return Recipe(stage.name, stage.version, as_json(config, stage.declares(config)), inputs, fingerprints)


def run_cached(
    stage: Stage,
    config: Config,
    stage_folders: Mapping[str, Path],
    store: Store,
    processes: Processes,
    log: Log,
    running: Collection[str] = (),
) -> Artifact:
    """Reuse a stage's work, or run and publish it. The main process decides for all processes.

    Args:
        stage_folders: the folder of each earlier stage's finished work.
        running: the earlier stages that this build has run, for the reason why this one runs again.
    """
    stage_recipe = recipe(stage, config, stage_folders)
    scratch = store.scratch(stage_recipe)
    with ExitStack() as locks:

        def is_finished() -> bool:
            if store.find(stage_recipe):
                return True
            locks.enter_context(
                store.lock(stage_recipe, lambda: log(f"{stage.name:9} another build is making it: waiting"))
            )
            if store.find(stage_recipe):
                return True
            if differences := reasons.compare_with_nearest(stage_recipe, store.records(stage.name)):
                log(f"{stage.name:9} {reasons.rerun_line(differences, running)}")
            store.open_scratch(stage_recipe)
            return False

        if processes.from_main(is_finished):
            artifact = _artifact(store, stage_recipe)
            outcome = reasons.reuse(artifact)
        else:
            if not scratch.is_dir():
                raise StoreError(
                    f"{scratch} is not there in process {processes.rank}", "--store a folder that all machines share"
                )
            start = time.perf_counter()
            with _full_disk_reported(scratch):
                metrics = stage.load().run(view(stage, config), {n: stage_folders[n] for n in stage.reads}, scratch)
            processes.from_main(lambda: None)  # no process reads the scratch folder any more
            if processes.main:
                store.publish(stage_recipe, metrics, time.perf_counter() - start)
            processes.from_main(lambda: None)  # now it is published
            artifact = replace(_artifact(store, stage_recipe), reused=False)
            outcome = f"ran {artifact.seconds:.1f} s"
    if processes.main:
        log(f"{stage.name:9} {outcome:34} {headline(artifact.metrics, config.task)}".rstrip())
        for note in artifact.metrics.get("notes", ()):
            log(f"          note: {note}")
    return artifact


def run_uncached(stage: Stage, config: Config, stage_folders: Mapping[str, Path], scratch: Path, log: Log) -> Path:
    """Run a stage whose work is not kept in the store, and return `scratch`, which holds it."""
    start = time.perf_counter()
    with _full_disk_reported(scratch):
        metrics = stage.load().run(view(stage, config), {name: stage_folders[name] for name in stage.reads}, scratch)
        (scratch / METRICS).write_text(json.dumps(metrics), encoding="utf-8")
    log(f"{stage.name:9} ran {time.perf_counter() - start:.1f} s")
    for note in metrics.get("notes", ()):
        log(f"          note: {note}")
    return scratch


def view(stage: Stage, config: Config) -> Config:
    """Return the view of the config for the stage."""
    return scoped(config, stage.name, stage.declares(config))


def headline(metrics: Mapping[str, Any], task: str) -> str:
    """Return the main result of a stage for its log line."""
    if metrics.get("score") is not None:
        words = catalog.load("task", task).words
        return f"{words.score} {in_full(metrics['score'], words.unit)}"
    if "passed" in metrics:
        return "parity passed" if metrics["passed"] else "parity FAILED"
    if {"train", "validation", "test"} <= set(metrics):
        return f"{metrics['train']:,} training, {metrics['validation']:,} validation, {metrics['test']:,} test samples"
    return ""


@contextmanager
def scratch_folder(store: Store, stage: str) -> Iterator[Path]:
    """Open a scratch folder for work that is not kept, and remove those of killed processes."""
    folder = store.root / "work"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder)
        temporary = Path(tempfile.mkdtemp(prefix=".", dir=folder))
        descriptor = os.open(temporary, os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX)  # before other processes can find it by its name
        scratch = temporary.rename(folder / f"{SCRATCH_PREFIX}{stage}{temporary.name}")
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(descriptor)


def _remove_abandoned(folder: Path) -> None:
    """Remove the scratch folders of killed processes, whose locks the kernel has released."""
    for scratch in folder.glob(f"{SCRATCH_PREFIX}*"):
        with suppress(FileNotFoundError, BlockingIOError):
            descriptor = os.open(scratch, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(scratch, ignore_errors=True)
            finally:
                os.close(descriptor)


def _artifact(store: Store, stage_recipe: Recipe) -> Artifact:
    artifact = store.find(stage_recipe)
    if artifact is None:
        raise StoreError(
            f"{store.finished(stage_recipe)} has gone while edgekd was running", "the same command makes it anew"
        )
    return artifact


@contextmanager
def _full_disk_reported(scratch: Path) -> Iterator[None]:
    """Turn a failed write into a StoreError. torch reports a full disk as a RuntimeError."""
    try:
        with writing(scratch):
            yield
    except RuntimeError as error:
        if shutil.disk_usage(scratch).free > 2**20:
            raise
        disk_full = write_error(OSError(errno.ENOSPC, "no space", str(scratch)), scratch)
        raise disk_full or error from error
