"""Finished work, kept under a key made from everything that went into it: `.edgekd/<stage>/<key>/`.

Work is done in a scratch folder and published by one rename, so a half-made artifact can't exist. The scratch folder
outlives a killed process and is handed to the next try. One lock for each key makes two builds share one piece of work.
"""

import fcntl
import hashlib
import json
import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from edgekd.catalog.libraries import LIBRARIES, library_versions
from edgekd.disk import file_sha256, sync, writing
from edgekd.errors import StoreError
from edgekd.pipeline.versions import source_hash

HASH_AT_MOST = 64 * 2**20  # larger files are compared by size alone when they are reused
RECORD, METRICS = "artifact.json", "metrics.json"


@dataclass(frozen=True)
class Recipe:
    """What a piece of work is made from; equal recipes give equal work.

    Attributes:
        stage, version: of the code that does it.
        settings: the config as far as the stage may read it, JSON-able.
        inputs: stage -> key of what it reads.
        fingerprints: of what the settings point to: data on disk, a checkpoint, a user's own module.
    """

    stage: str
    version: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """16 hexadecimal digits."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Record:
    """What a finished piece of work was made from, and when it was finished: the time in ISO 8601."""

    recipe: Recipe
    created: str


@dataclass(frozen=True)
class Artifact:
    """A finished piece of work."""

    folder: Path
    stage: str
    key: str
    metrics: dict[str, Any]
    created: str
    seconds: float
    versions: dict[str, str]
    source_hash: str
    reused: bool


class Store:
    """A folder of finished work and of work that is under way."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def finished(self, recipe: Recipe) -> Path:
        """Where the finished work of this recipe lies, or will lie."""
        return self.root / recipe.stage / recipe.key

    def scratch(self, recipe: Recipe) -> Path:
        """Where work on this recipe is done."""
        return self.root / "work" / f"{recipe.stage}-{recipe.key}"

    def find(self, recipe: Recipe) -> Artifact | None:
        """The finished work of this recipe, if there is any; StoreError where it is damaged."""
        folder = self.finished(recipe)
        if not folder.exists():
            return None
        remove = f"rm -r {shlex.quote(str(folder))}; the same command makes it anew"
        try:
            record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
            damage = _damage(folder, record["files"])
            metrics = json.loads((folder / METRICS).read_text(encoding="utf-8"))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{folder} is damaged: {RECORD} can't be read: {error}", remove) from error
        if damage:
            raise StoreError(f"{folder} is damaged: {damage}", remove)
        return Artifact(
            folder, recipe.stage, recipe.key, metrics, record["created"], record["seconds"], record["versions"],
            record["source_hash"], reused=True,
        )  # fmt: skip

    def records(self, stage: str) -> tuple[Record, ...]:
        """Of all finished work of a stage. What can't be read is left out: `find` reports it to whoever wants it."""
        records = []
        for file in sorted((self.root / stage).glob(f"*/{RECORD}")):
            with suppress(OSError, ValueError, KeyError, TypeError):
                record = json.loads(file.read_text(encoding="utf-8"))
                recipe = Recipe(**{field.name: record[field.name] for field in fields(Recipe)})
                records.append(Record(recipe, record["created"]))
        return tuple(records)

    def has_unfinished(self, recipe: Recipe) -> bool:
        """Whether an earlier try at this recipe left files in the scratch folder, or a running one is writing them."""
        return any(path.is_file() for path in self.scratch(recipe).rglob("*"))

    @contextmanager
    def lock(self, recipe: Recipe, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the right to make this recipe; `waiting` is called once if another process has it.

        The kernel drops the lock with the process that holds it, so a killed build blocks nobody.
        """
        file = self.root / "work" / f"{recipe.stage}-{recipe.key}.lock"
        descriptor = _locked(file, waiting)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)
            os.close(descriptor)

    def open_scratch(self, recipe: Recipe) -> Path:
        """The scratch folder of this recipe, with what a killed try left in it."""
        folder = self.scratch(recipe)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def publish(self, recipe: Recipe, metrics: Mapping[str, Any], seconds: float) -> Artifact:
        """Turn the scratch folder into finished work, all at once. Call it with the lock held."""
        scratch, folder = self.scratch(recipe), self.finished(recipe)
        created = datetime.now().astimezone().isoformat(timespec="seconds")
        with writing(folder):
            _write_json(scratch / METRICS, metrics)
            record = {
                **asdict(recipe),
                "key": recipe.key,
                "versions": library_versions(),
                "source_hash": source_hash(),
                "created": created,
                "seconds": round(seconds, 3),
                "files": _files(scratch),
            }
            _write_json(scratch / RECORD, record)
            for file in scratch.rglob("*"):
                sync(file)
            sync(scratch)
            folder.parent.mkdir(parents=True, exist_ok=True)
            os.rename(scratch, folder)
            sync(folder.parent)
        return Artifact(
            folder, recipe.stage, recipe.key, json.loads(json.dumps(metrics)), created, seconds, library_versions(),
            source_hash(), reused=False,
        )  # fmt: skip


def differences(artifact: Artifact) -> tuple[str, ...]:
    """What has changed since a reused artifact was made, in words."""
    now = library_versions()
    names = [name for name in LIBRARIES if name != "edgekd" and artifact.versions.get(name) != now.get(name)]
    changed = [f"{name} {artifact.versions.get(name, 'none')}, now {now.get(name, 'none')}" for name in names]
    if artifact.source_hash != source_hash():
        changed.append("an edgekd whose source was different")
    return tuple(changed)


def _locked(file: Path, waiting: Callable[[], None]) -> int:
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with writing(file):
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Its last holder may have removed the file while we waited: then the lock is on a file that nobody else opens.
        if os.fstat(descriptor).st_nlink > 0:
            return descriptor
        os.close(descriptor)


def _files(folder: Path) -> dict[str, dict[str, Any]]:
    return {
        str(file.relative_to(folder)): {"size": file.stat().st_size, "sha256": file_sha256(file)}
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != RECORD
    }


def _damage(folder: Path, files: Mapping[str, Mapping[str, Any]]) -> str | None:
    """The first way in which the files differ from what was recorded."""
    for name, recorded in files.items():
        file = folder / name
        if not file.is_file():
            return f"{name} is missing"
        size = file.stat().st_size
        if size != recorded["size"]:
            return f"{name} has {size:,} bytes instead of {recorded['size']:,}"
        if size <= HASH_AT_MOST and file_sha256(file) != recorded["sha256"]:
            return f"{name} has other contents than when it was written"
    return None


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
