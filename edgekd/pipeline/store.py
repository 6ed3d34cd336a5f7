"""The store of finished work in `.edgekd/<stage>/<key>/`; the key is a hash of everything that determines the work.

Work is done in a scratch folder and published by one rename, so that no incomplete artifact can exist. The scratch
folder outlives a killed process, and the next run goes on from it. With one lock for each key, two builds share their
work.
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

LARGEST_HASHED_BYTES = 64 * 2**20  # of larger files only the size is compared on reuse
RECORD, METRICS = "artifact.json", "metrics.json"


@dataclass(frozen=True)
class Recipe:
    """Everything that determines the result of a stage; equal recipes give equal work.

    Attributes:
        stage, version: the stage, and the version of its code.
        settings: the settings that the stage may read, in JSON's types.
        inputs: the key of the work of each stage that it reads.
        fingerprints: hashes of what the settings name: data on disk, a checkpoint, a user's own module.
    """

    stage: str
    version: int
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    fingerprints: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        """The hash of the recipe, 16 hexadecimal digits."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Record:
    """The recipe of finished work, and when it was finished, in ISO 8601."""

    recipe: Recipe
    created: str


@dataclass(frozen=True)
class Artifact:
    """Finished work of a stage."""

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
    """A folder of finished and unfinished work."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def finished(self, recipe: Recipe) -> Path:
        """Return the folder of this recipe's finished work, which may not exist yet."""
        return self.root / recipe.stage / recipe.key

    def scratch(self, recipe: Recipe) -> Path:
        """Return the scratch folder of this recipe."""
        return self.root / "work" / f"{recipe.stage}-{recipe.key}"

    def find(self, recipe: Recipe) -> Artifact | None:
        """Return the finished work of this recipe, or None; StoreError if it is damaged."""
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
        """Return the records of a stage's finished work. Damaged ones are left out: `find` reports them on use."""
        records = []
        for file in sorted((self.root / stage).glob(f"*/{RECORD}")):
            with suppress(OSError, ValueError, KeyError, TypeError):
                record = json.loads(file.read_text(encoding="utf-8"))
                recipe = Recipe(**{field.name: record[field.name] for field in fields(Recipe)})
                records.append(Record(recipe, record["created"]))
        return tuple(records)

    def has_unfinished(self, recipe: Recipe) -> bool:
        """Whether the scratch folder of this recipe holds files of an interrupted run, or of one that still runs."""
        return any(path.is_file() for path in self.scratch(recipe).rglob("*"))

    @contextmanager
    def lock(self, recipe: Recipe, on_wait: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the lock of this recipe; `on_wait` is called once if another process holds it.

        The kernel releases the lock when its process ends, so a killed build blocks no other.
        """
        file = self.root / "work" / f"{recipe.stage}-{recipe.key}.lock"
        descriptor = _acquire_lock(file, on_wait)
        try:
            yield
        finally:
            file.unlink(missing_ok=True)
            os.close(descriptor)

    def open_scratch(self, recipe: Recipe) -> Path:
        """Create the scratch folder of this recipe, or return it with the files of an interrupted run."""
        folder = self.scratch(recipe)
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
        return folder

    def publish(self, recipe: Recipe, metrics: Mapping[str, Any], seconds: float) -> Artifact:
        """Turn the scratch folder into finished work atomically. The caller must hold the lock."""
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
    """Describe how the versions differ from those that made a reused artifact."""
    now = library_versions()
    names = [name for name in LIBRARIES if name != "edgekd" and artifact.versions.get(name) != now.get(name)]
    changes = [f"{name} {artifact.versions.get(name, 'none')}, now {now.get(name, 'none')}" for name in names]
    if artifact.source_hash != source_hash():
        changes.append("an edgekd whose source was different")
    return tuple(changes)


def _acquire_lock(file: Path, on_wait: Callable[[], None]) -> int:
    with writing(file):
        file.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with writing(file):
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            on_wait()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        # The last holder may have removed the file in the meantime; then no other process would see this lock.
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
    """Describe the first difference between the files and their record; None if there is none."""
    for name, record in files.items():
        file = folder / name
        if not file.is_file():
            return f"{name} is missing"
        size = file.stat().st_size
        if size != record["size"]:
            return f"{name} has {size:,} bytes instead of {record['size']:,}"
        if size <= LARGEST_HASHED_BYTES and file_sha256(file) != record["sha256"]:
            return f"{name} has other contents than when it was written"
    return None


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=2, allow_nan=False) + "\n", encoding="utf-8")
