"""The options of a catalog entry, read from its source without running it, for checks of the config."""

import ast
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd.catalog import source_of
from edgekd.errors import ConfigError, nearest

LEADING_ARGUMENTS = {"criterion": 2, "scheme": 1}
"""The number of leading arguments that edgekd passes itself (a group and data, a run); the options follow them."""


@dataclass(frozen=True)
class Signature:
    """The options that an entry takes.

    Attributes:
        options: the names of its arguments, in order.
        required: the arguments without a default.
        open_ended: whether it takes `**options`, so that any name is valid.
    """

    options: tuple[str, ...]
    required: tuple[str, ...]
    open_ended: bool


def signature(kind: str, name: str) -> Signature | None:
    """Return the options of an entry, read from its source; None if the source does not show them."""
    file, attribute = source_of(kind, name)
    if file is None:
        return None
    tree = syntax_tree(file, f"{kind} {name!r}")
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef) and statement.name == attribute:
            return _arguments(statement.args, skip=LEADING_ARGUMENTS.get(kind, 0))
        if isinstance(statement, ast.ClassDef) and statement.name == attribute:
            for member in statement.body:
                if isinstance(member, ast.FunctionDef) and member.name == "__init__":
                    return _arguments(member.args, skip=1)
            return None
    names = _names(tree)
    if attribute not in names and not names & {"*", "__getattr__"}:
        guess = nearest(attribute, names)
        raise ConfigError(
            f"{kind} {name!r}: {file} has no {attribute!r}",
            f"'{name.partition(':')[0]}:{guess}'" if guess else f"name something that {file.name} defines",
        )
    return None


def syntax_tree(file: Path, subject: str) -> ast.Module:
    """Parse the source of a module; ConfigError if it is not Python.

    Args:
        subject: what of the config needs the module, for the error.
    """
    try:
        return ast.parse(file.read_text(encoding="utf-8"))
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ConfigError(f"{subject}: {file} can't be read as Python: {error}", "mend that file") from error


def check_options(kind: str, name: str, options: Mapping[str, Any], section: str, settings: Iterable[str]) -> None:
    """Raise a ConfigError for an option that the entry does not take, with the most similar name.

    Args:
        section: the section of the config with the options, such as "student".
        settings: the section's own settings, which the most similar name may be one of.
    """
    entry_signature = signature(kind, name)
    if entry_signature is None or entry_signature.open_ended:
        return
    for option in options:
        if option in entry_signature.options:
            continue
        guess = nearest(option, [*settings, *entry_signature.options])
        valid = ", ".join(entry_signature.options) or "no options"
        raise ConfigError(
            f"unknown setting {section}.{option}: {kind} {name!r} takes {valid}",
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
    """Return every name that a module may define, at any depth; it can have no others."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name.partition(".")[0])
    return names
