"""The version of edgekd's source as a hash, and the versions of stages, for the store's records and keys."""

import ast
import hashlib
import importlib.util
from functools import cache
from pathlib import Path


@cache
def source_hash() -> str:
    """Hash edgekd's source to 16 hexadecimal digits."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def stage_version(module: str) -> int:
    """Return the VERSION that a stage's module assigns, read from the source: an import would load torch."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the stage's module {module} has no source", name=module)
    for statement in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == ["VERSION"]:
            return int(ast.literal_eval(statement.value))
    raise AttributeError(f"{module} assigns no VERSION")
