"""Fingerprints: short hashes of the data on disk, the checkpoints and the user's own modules that a config names.

They are part of a stage's key beside its settings, so that data, weights or code that were changed in place get another
key. The paths themselves are not part of it, since a data set may move.
"""

import ast
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from edgekd import catalog
from edgekd.catalog.signatures import syntax_tree
from edgekd.config import Config, Source
from edgekd.disk import file_sha256

LARGEST_HASHED_BYTES = 512 * 2**20  # the fingerprint of a larger data set uses its files' names, sizes and times

Fingerprint = Callable[[Config], dict[str, str]]


def data(config: Config) -> dict[str, str]:
    """Return the fingerprints of the files below `data.root`, and of the user's own data set and task."""
    fingerprints = {} if config.data.root is None else {"data.root": folder(config.data.root)}
    return {**fingerprints, **_user_source("data set", config.data.name), **_user_source("task", config.task)}


def teacher(config: Config) -> dict[str, str]:
    """Return the fingerprints of the teachers' checkpoints, files, stored outputs, and the user's own modules."""
    fingerprints = _source("teacher", config.teacher)
    for number, other in enumerate(config.teacher.also):
        fingerprints |= _source(f"teacher.also[{number}]", other)
    return fingerprints


def _source(section: str, settings: Source) -> dict[str, str]:
    fingerprints = _checkpoint(section, settings.checkpoint)
    if settings.file is not None:
        fingerprints[f"{section}.file"] = folder(settings.file)
    if settings.answers is not None:
        fingerprints[f"{section}.answers"] = file_sha256(settings.answers)[:16]
    if settings.call is not None:
        fingerprints |= _user_source("teacher", settings.call)
    return fingerprints if settings.foreign else {**fingerprints, **_user_source("model", settings.model)}


def student(config: Config) -> dict[str, str]:
    """Return the fingerprints of the student's checkpoint and of the user's own model."""
    return {**_checkpoint("student", config.student.checkpoint), **_user_source("model", config.student.model)}


def _checkpoint(section: str, file: Path | None) -> dict[str, str]:
    return {} if file is None else {f"{section}.checkpoint": file_sha256(file)[:16]}


def distillation(config: Config) -> dict[str, str]:
    """Return the fingerprints of the user's own scheme and losses."""
    fingerprints = _user_source("scheme", config.distill.scheme.name)
    for loss in config.distill.losses:
        fingerprints |= _user_source("loss", loss.name)
    return fingerprints


def criterion(config: Config) -> dict[str, str]:
    """Return the fingerprint of the user's own pruning criterion."""
    return {} if config.prune.criterion == "none" else _user_source("criterion", config.prune.criterion)


def folder(root: Path) -> str:
    """Hash a file, or all files below a folder, to 16 hexadecimal digits."""
    files = [root] if root.is_file() else sorted(file for file in root.rglob("*") if file.is_file())
    states = [file.stat() for file in files]
    is_hashed = sum(state.st_size for state in states) <= LARGEST_HASHED_BYTES
    digest = hashlib.sha256()
    for file, state in zip(files, states, strict=True):
        content = file_sha256(file) if is_hashed else f"{state.st_size} {state.st_mtime_ns}"
        digest.update(f"{file.relative_to(root)}\0{content}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def source(kind: str, name: str) -> str | None:
    """Hash a module and the modules beside it that it imports to 16 hexadecimal digits; None if it has no source.

    Raises:
        ConfigError: one of these files is not Python.
    """
    file, _ = catalog.source_of(kind, name)
    if file is None:
        return None
    depth = name.partition(":")[0].count(".") + (file.name == "__init__.py")
    root = file.parents[depth]
    digest = hashlib.sha256()
    for imported in sorted(_closure(file, root, f"{kind} {name!r}")):
        digest.update(f"{imported.relative_to(root)}\0".encode())
        digest.update(imported.read_bytes())
    return digest.hexdigest()[:16]


def _user_source(kind: str, name: str) -> dict[str, str]:
    """Return the fingerprint of a user's module. The version of a stage covers edgekd's own entries."""
    fingerprint = source(kind, name) if ":" in name else None
    return {} if fingerprint is None else {name: fingerprint}


def _closure(file: Path, root: Path, subject: str) -> set[Path]:
    """Return a file and all files below `root` that it imports, directly or not."""
    closure: set[Path] = set()
    queue = [file]
    while queue:
        current = queue.pop()
        if current in closure:
            continue
        closure.add(current)
        queue.extend(_imports(current, root, subject))
    return closure


def _imports(file: Path, root: Path, subject: str) -> Iterator[Path]:
    for node in ast.walk(syntax_tree(file, subject)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(root, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            start = file.parents[node.level - 1] if node.level else root
            module = node.module.split(".") if node.module else []
            for alias in node.names:
                yield from _module_files(start, [*module, alias.name])


def _module_files(start: Path, steps: list[str]) -> Iterator[Path]:
    """Yield the files that an import of a dotted name runs: the packages that hold it, and the module itself."""
    place = start
    for step in steps:
        place = place / step
        for candidate in (place.with_suffix(".py"), place / "__init__.py"):
            if candidate.is_file():
                yield candidate
