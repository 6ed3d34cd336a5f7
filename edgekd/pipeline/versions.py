"""What results depend on besides their settings: the versions of libraries, and edgekd's own source."""

import ast
import hashlib
import importlib.metadata
import importlib.util
from functools import cache
from pathlib import Path

LIBRARIES = (
    "edgekd", "torch", "numpy", "onnx", "onnxruntime", "ai-edge-litert", "flatbuffers", "torch-pruning",
    "lightning-fabric", "scikit-learn",
)  # fmt: skip


@cache
def library_versions() -> dict[str, str]:
    """Of the libraries that results depend on; what is not installed is left out."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return versions


@cache
def source_hash() -> str:
    """Of edgekd's own source: 16 hexadecimal digits."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for file in sorted(package.rglob("*.py")):
        digest.update(f"{file.relative_to(package)}\0".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def stage_version(module: str) -> int:
    """The VERSION that the module of a stage assigns, read from its source: to import it would load torch."""
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError(f"the stage's module {module} has no source", name=module)
    for statement in ast.parse(Path(spec.origin).read_text(encoding="utf-8")).body:
        if isinstance(statement, ast.Assign) and [ast.unparse(target) for target in statement.targets] == ["VERSION"]:
            return int(ast.literal_eval(statement.value))
    raise AttributeError(f"{module} assigns no VERSION")
