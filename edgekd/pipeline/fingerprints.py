"""What a config points to, as short hashes: data on disk, a checkpoint, the source of a user's own module.

They stand in a stage's key beside its settings, so that data, weights or code changed in place are not mistaken for the
old ones. The paths themselves stay out of the key: a data set may move.
"""

import ast
import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

from edgekd import catalog
from edgekd.catalog.signatures import syntax_tree
from edgekd.config import Config, Source
from edgekd.disk import file_sha256

READ_AT_MOST = 512 * 2**20  # bytes; a larger data set is known by its files' names, sizes and times

Fingerprint = Callable[[Config], dict[str, str]]


def data(config: Config) -> dict[str, str]:
    """Of the data set: the files below `data.root`, the user's own factory and the user's own task."""
    found = {} if config.data.root is None else {"data.root": folder(config.data.root)}
    return {**found, **_own_source("data set", config.data.name), **_own_source("task", config.task)}


def teacher(config: Config) -> dict[str, str]:
    """Of the teachers: their checkpoints, files and stored answers, and the user's own factories and functions."""
    found = _source("teacher", config.teacher)
    for number, other in enumerate(config.teacher.also):
        found |= _source(f"teacher.also[{number}]", other)
    return found


def _source(section: str, chosen: Source) -> dict[str, str]:
    found = _checkpoint(section, chosen.checkpoint)
    if chosen.file is not None:
        found[f"{section}.file"] = folder(chosen.file)
    if chosen.answers is not None:
        found[f"{section}.answers"] = file_sha256(chosen.answers)[:16]
    if chosen.call is not None:
        found |= _own_source("teacher", chosen.call)
    return found if chosen.foreign else {**found, **_own_source("model", chosen.model)}


def student(config: Config) -> dict[str, str]:
    """Of the student: its checkpoint, and the user's own factory."""
    return {**_checkpoint("student", config.student.checkpoint), **_own_source("model", config.student.model)}


def _checkpoint(section: str, file: Path | None) -> dict[str, str]:
    return {} if file is None else {f"{section}.checkpoint": file_sha256(file)[:16]}


def teaching(config: Config) -> dict[str, str]:
    """Of the scheme and the losses that are the user's own."""
    found = _own_source("scheme", config.distill.scheme.name)
    for loss in config.distill.losses:
        found |= _own_source("loss", loss.name)
    return found


def criterion(config: Config) -> dict[str, str]:
    """Of the criterion, where it is the user's own."""
    return {} if config.prune.criterion == "none" else _own_source("criterion", config.prune.criterion)


def folder(root: Path) -> str:
    """16 hexadecimal digits of a file or of all files below a folder."""
    files = [root] if root.is_file() else sorted(file for file in root.rglob("*") if file.is_file())
    states = [file.stat() for file in files]
    read = sum(state.st_size for state in states) <= READ_AT_MOST
    digest = hashlib.sha256()
    for file, state in zip(files, states, strict=True):
        content = file_sha256(file) if read else f"{state.st_size} {state.st_mtime_ns}"
        digest.update(f"{file.relative_to(root)}\0{content}\0".encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


def source(kind: str, name: str) -> str | None:
    """16 hexadecimal digits of a module and of what it imports from beside it; None where there is no source.

    Raises:
        ConfigError: one of these files is not Python.
    """
    file, _ = catalog.source_of(kind, name)
    if file is None:
        return None
    depth = name.partition(":")[0].count(".") + (file.name == "__init__.py")
    beside = file.parents[depth]
    digest = hashlib.sha256()
    for imported in sorted(_closure(file, beside, f"{kind} {name!r}")):
        digest.update(f"{imported.relative_to(beside)}\0".encode())
        digest.update(imported.read_bytes())
    return digest.hexdigest()[:16]


def _own_source(kind: str, name: str) -> dict[str, str]:
    """edgekd's own entries are covered by the version of the stage that uses them."""
    found = source(kind, name) if ":" in name else None
    return {} if found is None else {name: found}


def _closure(file: Path, beside: Path, named: str) -> set[Path]:
    """A file and all that it imports, directly or not, from below the folder `beside`."""
    seen: set[Path] = set()
    waiting = [file]
    while waiting:
        current = waiting.pop()
        if current in seen:
            continue
        seen.add(current)
        waiting.extend(_imports(current, beside, named))
    return seen


def _imports(file: Path, beside: Path, named: str) -> Iterator[Path]:
    for node in ast.walk(syntax_tree(file, named)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(beside, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            start = file.parents[node.level - 1] if node.level else beside
            module = node.module.split(".") if node.module else []
            for alias in node.names:
                yield from _module_files(start, [*module, alias.name])


def _module_files(start: Path, steps: list[str]) -> Iterator[Path]:
    """The files that an import of a dotted name runs: packages on the way, and the module itself."""
    place = start
    for step in steps:
        place = place / step
        for candidate in (place.with_suffix(".py"), place / "__init__.py"):
            if candidate.is_file():
                yield candidate
