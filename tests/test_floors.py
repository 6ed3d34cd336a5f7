"""The house rules that a machine can check: allowed imports, light modules, and the docstring of each file."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.networks import lived_in, quantized
from torch import nn

import edgekd
from edgekd.graph import files

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
TRAINS = ("graph/simulated.py", "training.py")
"""How the files end that need torch, of those that hold, run, count and write graphs."""

READ_RUN_AND_WRITE = """
from pathlib import Path
import numpy as np
from edgekd.formats import onnx, tflite
from edgekd.graph import cost, files, plan, reference

folder = Path(sys.argv[1])
graph, codes = files.load(folder / "graph"), np.load(folder / "codes.npy")
for kernels in ("xnnpack", "tflm", "onnxruntime", "litert-reference"):
    assert reference.run(graph, codes, kernels=kernels).std() > 0
assert cost.macs(graph) and cost.parameters(graph) and cost.operators(graph) and plan.peak_ram_bytes(graph)
for form in (tflite, onnx):
    form.write(graph, folder / "model", labels=["a", "b"])
"""


def modules_after(code: str, *arguments: str) -> set[str]:
    """Return the top-level modules that are loaded after some code has run in a fresh process."""
    script = f"import sys\n{code}\nprint('modules:', *sorted({{name.partition('.')[0] for name in sys.modules}}))"
    process = subprocess.run(
        [sys.executable, "-c", script, *arguments], capture_output=True, text=True, check=True, cwd=PACKAGE.parent
    )
    return set(process.stdout.rpartition("modules:")[2].split())


def test_the_light_floors_import_nothing_heavy() -> None:
    assert not modules_after(f"import {', '.join(LIGHT)}") & set(HEAVY)


def test_importing_edgekd_imports_next_to_nothing() -> None:
    assert not modules_after("import edgekd") & {*HEAVY, "pydantic", "typer"}


def test_holding_running_counting_and_writing_graphs_imports_no_torch() -> None:
    folders = [PACKAGE / "graph", PACKAGE / "graph/operators", PACKAGE / "formats/tflite", PACKAGE / "formats/onnx"]
    folders += [PACKAGE / "formats/tflite/reading", PACKAGE / "runtimes"]
    others = [PACKAGE / name for name in ("formats/metadata.py", "pipeline/convert.py", "pipeline/diff.py")]
    sources = [*others, *(file for folder in folders for file in folder.glob("*.py"))]
    light = [file.relative_to(PACKAGE.parent) for file in sources if not file.as_posix().endswith(TRAINS)]
    assert len(light) > 50
    modules = {".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in light}
    assert "torch" not in modules_after(f"import {', '.join(sorted(modules))}")


def test_a_saved_graph_is_run_counted_and_written_without_torch(tmp_path: Path) -> None:
    layers = [nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.GELU(), nn.Conv2d(8, 8, 1), nn.Mish(), nn.Hardswish()]
    head = [nn.AvgPool2d(2), nn.Flatten(), nn.LayerNorm(72), nn.Linear(72, 5), nn.Softmax(-1)]
    _, graph, (codes,) = quantized(lived_in(nn.Sequential(*layers, *head), (3, 8, 8)), (3, 8, 8))
    files.save(graph, tmp_path / "graph")
    np.save(tmp_path / "codes.npy", codes)
    assert "torch" not in modules_after(READ_RUN_AND_WRITE, str(tmp_path))


def test_the_public_functions_are_those_that_are_named() -> None:
    assert set(edgekd.__all__) == {"build", "check", "convert", "diff", "targets", "verify"}
    for name in edgekd.__all__:
        assert callable(getattr(edgekd, name))
    with pytest.raises(AttributeError, match="no attribute 'biuld'"):
        _ = edgekd.biuld


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: str(file.relative_to(PACKAGE)))
def test_a_file_opens_with_a_sentence(file: Path) -> None:
    opening = ast.get_docstring(ast.parse(file.read_text(encoding="utf-8")))
    assert opening is not None
    assert opening.split("\n\n")[0].rstrip().endswith((".", ":", "`"))


CLASSIFICATION = re.compile("argmax|accurac|cross.?entropy", re.IGNORECASE)
MAY_SPEAK_OF_IT = {
    "tasks/classification": "the task itself",
    "distillation/losses": "its losses",
    "graph/capture/alternatives.py": "argmax is an operator of torch there, and what to put in its place",
}


def test_classification_stands_behind_its_task_alone() -> None:
    texts = {
        file.relative_to(PACKAGE).as_posix(): file.read_text(encoding="utf-8")
        for file in (*SOURCES, *PACKAGE.rglob("*.html"))
    }
    speaking = {name for name, text in texts.items() if CLASSIFICATION.search(text)}
    assert {name for name in speaking if not name.startswith(tuple(MAY_SPEAK_OF_IT))} == set()
    assert all(any(name.startswith(place) for name in speaking) for place in MAY_SPEAK_OF_IT)


def test_nothing_is_left_to_do_for_nobody() -> None:
    assert [file for file in SOURCES if "TO" + "DO" in file.read_text(encoding="utf-8")] == []
