"""One stage: what it is made from, and how it is reused, run, published and logged."""

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
from edgekd.disk import refused, writing
from edgekd.errors import StoreError
from edgekd.pipeline import reasons
from edgekd.pipeline.fingerprints import Fingerprint
from edgekd.pipeline.ranks import Processes
from edgekd.pipeline.scope import as_json, scoped
from edgekd.pipeline.store import METRICS, Artifact, Recipe, Store
from edgekd.pipeline.versions import stage_version
from edgekd.report.units import in_full

Log = Callable[[str], None]
ASIDE = "aside-"  # begins the names of scratch folders whose work is not kept


@dataclass(frozen=True)
class Stage:
    """One row of the table.

    Attributes:
        reads: stages whose artifacts it opens.
        settings: what it may read of the config, `seed` and `compute` aside: sections, or single settings of them.
        limited: settings that it may read as well where it prunes until the target's limits are met.
        fingerprints: what must stand in its key beside its settings.
        trains: under torchrun every process runs it; the other stages are the main process's.
        cached: its work is kept in the store and used again.
        module: where its `run` is; `edgekd.stages.<name>` by default.
    """

    name: str
    reads: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    limited: tuple[str, ...] = ()
    fingerprints: tuple[Fingerprint, ...] = ()
    trains: bool = False
    cached: bool = True
    module: str = ""

    @property
    def module_name(self) -> str:
        """Where its code is."""
        return self.module or f"edgekd.stages.{self.name}"

    @property
    def version(self) -> int:
        """Of its code; nothing is imported for it."""
        loaded = sys.modules.get(self.module_name)
        return int(loaded.VERSION) if loaded else stage_version(self.module_name)

    def load(self) -> Any:
        """Its module; torch comes with it."""
        return importlib.import_module(self.module_name)

    def precheck(self, config: Config, data: Path) -> None:
        """Let the stage refuse before anything trains what it would refuse later; most have nothing to say."""
        refuse = getattr(self.load(), "precheck", None)
        if refuse is not None:
            refuse(config, data)

    def declares(self, config: Config) -> tuple[str, ...]:
        """What it may read of this config."""
        return self.settings + (self.limited if config.prune.until == "limits" else ())


def recipe(stage: Stage, config: Config, made: Mapping[str, Path]) -> Recipe:
    """What a stage's work is made from: the same recipe, the same work.

    Args:
        made: stage -> folder of its finished work, which is named by its key.
    """
    prints: dict[str, str] = {}
    for fingerprint in stage.fingerprints:
        prints |= fingerprint(config)
    inputs = {name: made[name].name for name in stage.reads}
    return Recipe(stage.name, stage.version, as_json(config, stage.declares(config)), inputs, prints)


def run_cached(
    stage: Stage,
    config: Config,
    made: Mapping[str, Path],
    store: Store,
    processes: Processes,
    log: Log,
    rerun: Collection[str] = (),
) -> Artifact:
    """One cached stage: reused, or run and published. The main process decides, so that all do the same.

    Args:
        made: stage -> folder of its finished work.
        rerun: the earlier stages that this build has run, for the reason why this one runs again.
    """
    wanted = recipe(stage, config, made)
    scratch = store.scratch(wanted)
    with ExitStack() as held:

        def is_finished() -> bool:
            if store.find(wanted):
                return True
            held.enter_context(store.lock(wanted, lambda: log(f"{stage.name:9} another build is making it: waiting")))
            if store.find(wanted):
                return True
            if differences := reasons.compare_with_nearest(wanted, store.records(stage.name)):
                log(f"{stage.name:9} {reasons.again(differences, rerun)}")
            store.open_scratch(wanted)
            return False

        if processes.from_main(is_finished):
            artifact = _artifact(store, wanted)
            outcome = reasons.reuse(artifact)
        else:
            if not scratch.is_dir():
                raise StoreError(
                    f"{scratch} is not there in process {processes.rank}", "--store a folder that all machines share"
                )
            started = time.perf_counter()
            with _disk_is_watched(scratch):
                metrics = stage.load().run(view(stage, config), {n: made[n] for n in stage.reads}, scratch)
            processes.from_main(lambda: None)  # nobody reads the scratch folder any more
            if processes.main:
                store.publish(wanted, metrics, time.perf_counter() - started)
            processes.from_main(lambda: None)  # now it is published
            artifact = replace(_artifact(store, wanted), reused=False)
            outcome = f"ran {artifact.seconds:.1f} s"
    if processes.main:
        log(f"{stage.name:9} {outcome:34} {headline(artifact.metrics, config.task)}".rstrip())
        for note in artifact.metrics.get("notes", ()):
            log(f"          note: {note}")
    return artifact


def run_uncached(stage: Stage, config: Config, made: Mapping[str, Path], scratch: Path, log: Log) -> Path:
    """One stage whose work is not kept in the store."""
    started = time.perf_counter()
    with _disk_is_watched(scratch):
        metrics = stage.load().run(view(stage, config), {name: made[name] for name in stage.reads}, scratch)
        (scratch / METRICS).write_text(json.dumps(metrics), encoding="utf-8")
    log(f"{stage.name:9} ran {time.perf_counter() - started:.1f} s")
    for note in metrics.get("notes", ()):
        log(f"          note: {note}")
    return scratch


def view(stage: Stage, config: Config) -> Config:
    """The config as the stage sees it."""
    return scoped(config, stage.name, stage.declares(config))


def headline(metrics: Mapping[str, Any], task: str) -> str:
    """The figure of a stage that its log line shows."""
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
    """A scratch folder for work that is not kept; those of killed processes are cleared away."""
    folder = store.root / "work"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        _clear_abandoned(folder)
        unnamed = Path(tempfile.mkdtemp(prefix=".", dir=folder))
        held = os.open(unnamed, os.O_RDONLY)
        fcntl.flock(held, fcntl.LOCK_EX)  # before it has the name by which others find it
        scratch = unnamed.rename(folder / f"{ASIDE}{stage}{unnamed.name}")
    try:
        yield scratch
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
        os.close(held)


def _clear_abandoned(folder: Path) -> None:
    """The kernel has dropped the locks of processes that are no more."""
    for scratch in folder.glob(f"{ASIDE}*"):
        with suppress(FileNotFoundError, BlockingIOError):
            descriptor = os.open(scratch, os.O_RDONLY)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(scratch, ignore_errors=True)
            finally:
                os.close(descriptor)


def _artifact(store: Store, wanted: Recipe) -> Artifact:
    artifact = store.find(wanted)
    if artifact is None:
        raise StoreError(
            f"{store.finished(wanted)} has gone while edgekd was running", "the same command makes it anew"
        )
    return artifact


@contextmanager
def _disk_is_watched(scratch: Path) -> Iterator[None]:
    """A stage that could not write says so as the store does. torch reports a full disk as a RuntimeError."""
    try:
        with writing(scratch):
            yield
    except RuntimeError as error:
        if shutil.disk_usage(scratch).free > 2**20:
            raise
        full = refused(OSError(errno.ENOSPC, "no space", str(scratch)), scratch)
        raise full or error from error
