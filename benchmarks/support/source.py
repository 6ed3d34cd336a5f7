"""Imports, names and docstrings of Python source, for counts by the same rules at any commit."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
BLOCKS = (ast.If, ast.Try, ast.With)
IMPORTS = """
import json, sys, grimp
graph = grimp.build_graph(sys.argv[1], cache_dir=None, exclude_type_checking_imports=True)
print(json.dumps({module: sorted(graph.find_modules_directly_imported_by(module)) for module in graph.modules}))
"""


@dataclass(frozen=True)
class PublicName:
    """A public name of a module.

    Attributes:
        name: the name of a function or class, or "Class.method".
        documented: whether it has a docstring.
    """

    name: str
    documented: bool


def imports(package: str, tree: Path) -> dict[str, list[str]]:
    """Return the modules that each module of the package in the folder `tree` imports from it.

    grimp reads them, as for import-linter: imports inside functions count, those for type checkers alone don't. It runs
    in a process of its own, since it would find a package that is imported already at its old place.
    """
    command = [sys.executable, "-c", IMPORTS, package]
    answer = subprocess.run(command, cwd=tree, check=True, stdout=subprocess.PIPE).stdout
    modules: dict[str, list[str]] = json.loads(answer)
    return modules


def public_names(source: str) -> list[PublicName]:
    """Return the functions, classes and methods without a leading underscore.

    A name counts if it can be reached from the module by public names alone, so not inside a function or a private
    class. Properties count as methods, and so does a method that overrides another one, such as `forward`.
    """
    return list(_public(ast.parse(source).body, prefix=""))


def names_and_literals(source: str) -> Iterator[str]:
    """Yield every name and string literal of a file: of what it defines, imports, calls and reads.

    Comments don't count, nor do docstrings or any other statement that is nothing but a string. The constant parts of
    an f-string do.
    """
    tree = ast.parse(source)
    prose = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        match node:
            case ast.Constant(value=str(text)) if id(node) not in prose:
                yield text
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.ImportFrom(module=str(name)):
                yield name
            case ast.alias(name=name, asname=alias):
                yield from (name, alias) if alias else (name,)


def _public(body: list[ast.stmt], prefix: str) -> Iterator[PublicName]:
    for node in body:
        if isinstance(node, BLOCKS):
            yield from _public([child for child in ast.iter_child_nodes(node) if isinstance(child, ast.stmt)], prefix)
        elif isinstance(node, Definition) and not node.name.startswith("_"):
            yield PublicName(prefix + node.name, ast.get_docstring(node) is not None)
            if isinstance(node, ast.ClassDef):
                yield from _public(node.body, f"{prefix}{node.name}.")
