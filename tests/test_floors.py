"""The house rules that a machine can check: what may import what, what stays light, how a file opens."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import edgekd

PACKAGE = Path(edgekd.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
LIGHT = [
    "edgekd", "edgekd.cli", "edgekd.cli.doctor", "edgekd.pipeline.build", "edgekd.pipeline.reverify",
    "edgekd.pipeline.check", "edgekd.pipeline.explain", "edgekd.pipeline.store", "edgekd.report.pages",
    "edgekd.config.template", "edgekd.config.targets", "edgekd.config.resolve", "edgekd.results", "edgekd.catalog",
    "edgekd.tuning.space", "edgekd.tuning.storage", "edgekd.tuning.study", "edgekd.tuning.tune", "edgekd.disk",
]  # fmt: skip
HEAVY = [
    "torch",
    "numpy",
    "onnx",
    "onnxruntime",
    "ai_edge_litert",
    "sklearn",
    "lightning",
    "rich",
    "optuna",
    "sqlalchemy",
]


def after(code: str) -> set[str]:
    """The top-level modules that are loaded after some code has run in a fresh process."""
    script = f"import sys\n{code}\nprint('modules:', *sorted({{name.partition('.')[0] for name in sys.modules}}))"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return set(done.stdout.rpartition("modules:")[2].split())


def test_the_light_floors_import_nothing_heavy() -> None:
    assert not after(f"import {', '.join(LIGHT)}") & set(HEAVY)


def test_importing_edgekd_imports_next_to_nothing() -> None:
    assert not after("import edgekd") & {*HEAVY, "pydantic", "typer"}


def test_the_public_functions_are_those_that_are_named() -> None:
    assert set(edgekd.__all__) == {"build", "check", "targets", "verify"}
    for name in edgekd.__all__:
        assert callable(getattr(edgekd, name))
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        _ = edgekd.biuld


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_opens_with_a_sentence(file: Path) -> None:
    opening = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    assert opening is not None
    assert opening.split("\n\n")[0].rstrip().endswith((".", ":", "`"))


def test_nothing_is_left_to_do_for_nobody() -> None:
    assert [file for file in SOURCES if "TO" + "DO" in file.read_text(encoding="utf-8")] == []
