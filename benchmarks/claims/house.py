"""The structure of the source at any commit: packages and their imports, long files, files that a new entry touches.

python -m benchmarks.claims.house [--commit REV]

Without --commit the working tree is counted. Everything is read from the source of edgekd/, by the same rules at every
commit, and names are printed beside the numbers.

`rooms`: the first level, that is packages directly below edgekd/ and modules that lie loose beside them; `__init__` and
`__main__`, which Python wants there, are neither. `packages`: packages at any depth, a module being in the package that
holds it, and the loose modules. `..._arrows`: pairs of them of which one imports from the other, however many modules
do so, as grimp reads imports for import-linter: those inside functions count, those for type checkers alone don't.
`public_without_docstring`: functions, classes and methods, by the rule of support/source.py.

`KIND_files`: files that name one entry of that kind in a name, in a string literal or in their path; comments and
docstrings don't count (PRECEDENTS has the entry and the pattern). A new entry will stand in about as many.
`..._elsewhere`: those of them whose path does not name it, so without the entry's own files.

Writes results/house.csv, a row a commit.
"""

import argparse
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.support import commits, source
from benchmarks.support.paths import REPOSITORY
from benchmarks.support.record import append

ROOT = "edgekd"


@dataclass(frozen=True)
class Precedent:
    """An existing entry, which shows how many files a new one touches.

    Attributes:
        pattern: a regular expression for its name, in any case.
        ignored: folders in which the name means something else.
    """

    entry: str
    pattern: str
    ignored: frozenset[str] = frozenset()

    def named_in(self, text: str) -> bool:
        """Whether a name, a literal or a path contains the entry's name."""
        return re.search(self.pattern, text, re.IGNORECASE) is not None


PRECEDENTS = {
    # Models and losses call torch's layer norm, and know nothing of the operator.
    "operator": Precedent("layer norm", r"layer_?norm", frozenset({"models", "losses"})),
    "format": Precedent("ONNX", r"onnx(?!_?runtime)"),
    "runtime": Precedent("TFLite Micro", r"tflm|tflite[ _-]?micro"),
    "loss": Precedent("DKD", r"dkd|decoupled"),
    "target": Precedent("Android", r"android"),  # whose TOML lies in targets/, outside of edgekd/
}


@dataclass(frozen=True)
class House:
    """The source of edgekd/ at one commit: the text of each file, keyed by its path in the repository."""

    tree: Path
    files: dict[Path, str]

    @classmethod
    def at(cls, tree: Path) -> "House":
        """Read all files below a tree."""
        files = sorted((tree / ROOT).rglob("*.py"))
        return cls(tree, {path.relative_to(tree): path.read_text(encoding="utf-8") for path in files})

    @property
    def loose(self) -> list[str]:
        """The modules directly below edgekd/, beside the packages."""
        tops = [path.stem for path in self.files if len(path.parts) == 2]
        return [f"{ROOT}.{name}" for name in tops if name not in ("__init__", "__main__")]

    def first_level(self, module: str) -> str | None:
        """Return the room of a module, or None for `__init__` and `__main__`."""
        room = ".".join(module.split(".")[:2])
        return None if room in (ROOT, f"{ROOT}.__main__") else room

    def package(self, module: str) -> str | None:
        """Return the package of a module; a loose module counts as its own."""
        path = Path(*module.split("."))
        holder = module if path / "__init__.py" in self.files else module.rpartition(".")[0]
        return module if module in self.loose else None if holder == ROOT else holder

    def naming(self, precedent: Precedent) -> list[Path]:
        """Return the files that name an entry."""
        return [
            path
            for path, text in self.files.items()
            if not precedent.ignored.intersection(path.parts)
            and any(map(precedent.named_in, [str(path), *source.names_and_literals(text)]))
        ]

    def undocumented(self) -> list[str]:
        """Return the public names without a docstring, as "module: name"."""
        return [
            f"{_module(path)}: {public.name}"
            for path, text in self.files.items()
            for public in source.public_names(text)
            if not public.documented
        ]


def row(house: House) -> dict[str, Any]:
    """Return all counts of one commit, and print the names that are counted."""
    imports = source.imports(ROOT, house.tree)
    longest = max(house.files, key=lambda path: _lines(house.files[path]))
    undocumented = house.undocumented()
    _say("public names without a docstring", undocumented)
    counts: dict[str, Any] = {
        **_rooms_and_arrows(imports, house.first_level, "room"),
        **_rooms_and_arrows(imports, house.package, "package"),
        "loose_files": len(house.loose),
        "files": len(house.files),
        "lines": sum(map(_lines, house.files.values())),
        "longest_file": _module(longest),
        "longest_file_lines": _lines(house.files[longest]),
        "public_names": sum(len(source.public_names(text)) for text in house.files.values()),
        "public_without_docstring": len(undocumented),
    }
    for kind, precedent in PRECEDENTS.items():
        files = house.naming(precedent)
        elsewhere = [path for path in files if not precedent.named_in(str(path))]
        _say(f"files that name {precedent.entry}, beside its own", map(str, elsewhere))
        counts |= {f"{kind}_files": len(files), f"{kind}_files_elsewhere": len(elsewhere)}
    return counts


def _rooms_and_arrows(imports: dict[str, list[str]], room_of: Callable[[str], str | None], kind: str) -> dict[str, int]:
    rooms = {room_of(module) for module in imports} - {None}
    arrows = {(room_of(module), room_of(imported)) for module, names in imports.items() for imported in names}
    return {f"{kind}s": len(rooms), f"{kind}_arrows": sum(a != b and {a, b} <= rooms for a, b in arrows)}


def _module(path: Path) -> str:
    return ".".join(path.with_suffix("").parts)


def _lines(text: str) -> int:
    return len(text.splitlines())


def _say(heading: str, names: Iterable[str]) -> None:
    print("\n    ".join([f"{heading}:", *names]))


def main() -> None:
    """Count one commit, and record its row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--commit", metavar="REV", help="checked out into a temporary worktree")
    commit = parser.parse_args().commit
    if commit is None:
        name, counts = commits.name_of_working_tree(), row(House.at(REPOSITORY))
    else:
        with commits.checkout(commit) as tree:
            name, counts = commits.short_name(commit), row(House.at(tree))
    append("house", {"commit": name, "commit_date": commits.date(commit or "HEAD"), **counts})


if __name__ == "__main__":
    main()
