"""The options that an entry of the catalog takes, read from its source without running it."""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd.catalog import source_of
from edgekd.errors import ConfigError, nearest

GIVEN = {"criterion": 2, "scheme": 1}
"""Arguments that edgekd itself hands to an entry (a group and data, a run); its options follow."""


@dataclass(frozen=True)
class Signature:
    """The options that an entry takes.

    Attributes:
        options: names of its arguments, in order.
        required: those without a default.
        open_ended: it takes `**options`, so any name is right.
    """

    options: tuple[str, ...]
    required: tuple[str, ...]
    open_ended: bool


def signature(kind: str, name: str) -> Signature | None:
    """The options of an entry, read from its source without running it; None where the source can't tell."""
    file, attribute = source_of(kind, name)
    if file is None:
        return None
    tree = syntax_tree(file, f"{kind} {name!r}")
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == attribute:
            return _arguments(statement.args, skip=GIVEN.get(kind, 0))
        if isinstance(statement, ast.ClassDef) and statement.name == attribute:
            for member in statement.body:
                if isinstance(member, ast.FunctionDef) and member.name == "__init__":
                    return _arguments(member.args, skip=1)
            return None
    defined = _names(tree)
    if attribute not in defined and not defined & {"*", "__getattr__"}:
        guess = nearest(attribute, defined)
        raise ConfigError(
            f"{kind} {name!r}: {file} has no {attribute!r}",
            f"'{name.partition(':')[0]}:{guess}'" if guess else f"name something that {file.name} defines",
        )
    return None


def syntax_tree(file: Path, named: str) -> ast.Module:
    """The source of a module; ConfigError where it is not Python.

    Args:
        named: what of the config needs the module, for the error.
    """
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ConfigError(f"{named}: {file} can't be read as Python: {error}", "mend that file") from error


def check_options(kind: str, name: str, options: Mapping[str, Any], section: str, settings: Iterable[str]) -> None:
    """Refuse an option that the entry does not take, with the nearest right one.

    Args:
        section: where it was written, "student" say; `settings` are the section's own fields, for the nearest name.
    """
    known = signature(kind, name)
    if known is None or known.open_ended:
        return
    for option in options:
        if option in known.options:
            continue
        guess = nearest(option, [*settings, *known.options])
        takes = ", ".join(known.options) or "no options"
        raise ConfigError(
            f"unknown setting {section}.{option}: {kind} {name!r} takes {takes}",
            f"{section}.{guess}" if guess else f"leave {section}.{option} out",
        )


def _arguments(arguments: ast.arguments, skip: int) -> Signature:
    positional = [*arguments.posonlyargs, *arguments.args]
    without_default = len(positional) - len(arguments.defaults)
    required = [a.arg for a in positional[skip : max(skip, without_default)]]
    required += [a.arg for a, d in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True) if d is None]
    options = [a.arg for a in positional[skip:]] + [a.arg for a in arguments.kwonlyargs]
    return Signature(tuple(options), tuple(required), arguments.kwarg is not None)


def _names(tree: ast.Module) -> set[str]:
    """Every name that a module may define, at any depth: enough to know what it can't have."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
    return names
