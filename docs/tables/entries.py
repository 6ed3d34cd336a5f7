"""Tables of what a config can name, kind by kind, read from the source of each entry without running it."""

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from edgekd import catalog
from edgekd.catalog.signatures import signature
from edgekd.config import toml
from edgekd.config.template import descriptions
from edgekd.report.markdown import table

FILLED_IN = {"classes", "input_shape", "root"}
"""Arguments that a build fills in itself: what the data set says of itself, and `data.root`."""

PAPER = re.compile(r"(.*?) \(([^()]*\b(?:19|20)\d\d\b.*)\)\.", re.DOTALL)
"""A first sentence that ends in its paper: "Soft targets: ... (Hinton et al., 2015, arXiv:1503.02531)."."""


@dataclass(frozen=True)
class Option:
    """An argument of an entry, with its default as TOML writes it ("" where there is none) and its meaning."""

    name: str
    default: str
    meaning: str


@dataclass(frozen=True)
class Entry:
    """What one file offers, under one name or several (the depths of a ResNet)."""

    names: tuple[str, ...]
    purpose: str
    paper: str
    options: tuple[Option, ...]

    @property
    def title(self) -> str:
        """The names as Markdown."""
        return ", ".join(f"`{name}`" for name in self.names)


def entries(kind: str) -> Iterator[Entry]:
    """The entries of a kind, in the order of the catalog."""
    files: dict[Path, list[str]] = {}
    for name in catalog.KINDS[kind]:
        file, _ = catalog.source_of(kind, name)
        if file is not None:
            files.setdefault(file, []).append(name)
    for file, names in files.items():
        tree = ast.parse(file.read_text(encoding="utf-8"))
        sentence = " ".join((ast.get_docstring(tree) or "").partition("\n\n")[0].split())
        match = PAPER.fullmatch(sentence)
        purpose, paper = match.groups() if match else (sentence.removesuffix("."), "")
        yield Entry(tuple(names), purpose, paper, tuple(_options(kind, names[0], tree)))


def overview(kind: str) -> str:
    """A table of what each entry is for."""
    rows = [(entry.title, cell(entry.purpose), cell(entry.paper)) for entry in entries(kind)]
    return table(("name", "what it is", "paper"), rows) + "\n"


def options(kind: str) -> str:
    """A table of every entry's options."""
    rows = [
        (entry.title, f"`{option.name}`", f"`{option.default}`" if option.default else "", cell(option.meaning))
        for entry in entries(kind)
        for option in entry.options
    ]
    return table(("name", "option", "default", "meaning"), rows) + "\n"


def _options(kind: str, name: str, tree: ast.Module) -> Iterator[Option]:
    taken = signature(kind, name)
    attribute = catalog.entry(kind, name).partition(":")[2]
    named = (node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef))
    entry = next(node for node in named if node.name == attribute)
    meanings = descriptions(ast.get_docstring(entry), "Args:")
    defaults = _defaults(entry)
    for option in taken.options if taken else ():
        if option not in FILLED_IN:
            yield Option(option, defaults.get(option, ""), meanings.get(option, ""))


def _defaults(entry: ast.FunctionDef | ast.ClassDef) -> dict[str, str]:
    """Argument -> default, of a function or of a class's constructor."""
    functions = [entry] if isinstance(entry, ast.FunctionDef) else entry.body
    defaults: dict[str, str] = {}
    for function in functions:
        if isinstance(function, ast.FunctionDef) and function.name in ("__init__", entry.name):
            arguments = function.args
            positional = [*arguments.posonlyargs, *arguments.args][::-1]
            pairs = [
                *zip(positional, arguments.defaults[::-1], strict=False),
                *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
            ]
            defaults |= {argument.arg: _as_toml(value) for argument, value in pairs if value is not None}
    return defaults


def _as_toml(value: ast.expr) -> str:
    try:
        plain = ast.literal_eval(value)
    except ValueError:  # an expression, such as 1 / 6
        return ast.unparse(value)
    return "" if plain is None else toml.value(plain)


def cell(text: str) -> str:
    """A sentence for a cell of a table: it opens with a capital, and opens no column of its own."""
    return (text[:1].upper() + text[1:]).replace("|", "\\|")


KINDS = {
    "loss": "losses", "scheme": "schemes", "criterion": "criteria", "model": "models", "data set": "data_sets",
}  # fmt: skip
PARTS: dict[str, Callable[[], str]] = {
    part: partial(form, kind)
    for kind, plural in KINDS.items()
    for part, form in ((plural, overview), (f"{plural}_options", options))
}
