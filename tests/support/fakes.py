"""A pipeline of fake stages that train nothing: they write small files, log their runs, and can stall.

Environment: FAKE_LOG names a file that gets a line for each run; FAKE_STALL names a stage that stops half-way until it
is killed; FAKE_VERDICT is the report that the last stage writes: "good", "over" or "differs".
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from edgekd.config.resolve import configure
from edgekd.pipeline import build
from edgekd.pipeline.stage import Stage
from edgekd.results import Boundary, LimitRow, Quantity, Report
from edgekd.tasks.classification import WORDS
from support import commands

EPOCHS = 3
TESTS = Path(__file__).parents[1]
SCRIPT = """
import sys
from support import fakes
from edgekd.pipeline import build
from edgekd.config.resolve import configure
report = build.make(configure(*sys.argv[1:2], settings=sys.argv[2:]), stages=fakes.stages())
build.judge(report)
"""


def data(config: Any, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    (out / "x.txt").write_text(f"{config.data.name} {config.seed}")
    return {"train": 8, "validation": 4, "test": 4}


def teacher(config: Any, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Resume after the last finished epoch, as a real training does."""
    if os.environ.get("RANK", "0") != "0":
        return {}
    state = out / "training.ckpt"
    finished_epochs = int(state.read_text()) if state.exists() else 0
    for epoch in range(finished_epochs, EPOCHS):
        _log(f"teacher epoch {epoch}")
        state.write_text(str(epoch + 1))
        if epoch == 1:
            _stall("teacher")
    state.unlink(missing_ok=True)
    (out / "model").mkdir(exist_ok=True)
    (out / "model" / "weights.txt").write_text(f"{config.teacher.model} {(folders['data'] / 'x.txt').read_text()}")
    return {"score": 98.5, "notes": ["it was easy"]}


def export(config: Any, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    weights = (folders["teacher"] / "model" / "weights.txt").read_text()
    (out / "model.tflite").write_text(f"{weights} / {config.prune.channel_multiple}")
    _stall("export")
    if "onnx" in config.export.formats:
        (out / "model.onnx").write_text(weights)
    return {}


def verify(config: Any, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    text = (folders["export"] / "model.tflite").read_text()
    if "garbage" in text:
        raise ValueError("this is no model\nand more lines")
    passed = text.startswith((folders["teacher"] / "model" / "weights.txt").read_text())
    row = Boundary(name="litert", score=_percent(98.5), passed=passed, outputs=40, differing=0 if passed else 3)
    (out / "boundaries.json").write_text(json.dumps([row.model_dump(mode="json")]))
    return {"passed": passed}


def report(config: Any, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    verdict = os.environ.get("FAKE_VERDICT", "good")
    allowed, reached = (Quantity(value=v, unit="B", origin="counted", source="a test") for v in (1.0, 2.0))
    miss = LimitRow(
        limit="size", allowed=allowed, reached=reached, met=False, miss="size 2 B is 1 B over the 1 B allowed"
    )
    result = Report(
        edgekd_version="0",
        created="today",
        command="edgekd build",
        target=config.device.model_dump(mode="json"),
        seed=config.seed,
        task=WORDS,
        data={},
        stages=(),
        boundaries=(Boundary(name="litert", score=_percent(98.5), passed=verdict != "differs"),),
        operators=(),
        latencies=(),
        limits=(miss,) if verdict == "over" else (),
        files=(),
    )
    (out / "report.json").write_text(result.model_dump_json())
    (out / "report.md").write_text("# report")
    (out / "report.html").write_text(hashlib.sha256(str(verdict).encode()).hexdigest())
    return {}


def curious(config: Any, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Read a section that the stage's row does not declare."""
    return {"epochs": config.distill.epochs}


def full(config: Any, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
    """Write to a full disk."""
    with Path("/dev/full").open("w") as stream:
        stream.write("x")
    return {}


def stages() -> tuple[Stage, ...]:
    """Return the table of the fake stages."""
    return (
        Stage("data", settings=("data",), module=_module(data)),
        Stage("teacher", reads=("data",), settings=("teacher",), trains=True, module=_module(teacher)),
        Stage("export", reads=("data", "teacher"), settings=("export", "prune"), module=_module(export)),
        Stage("verify", reads=("teacher", "export"), settings=("verify",), module=_module(verify)),
        Stage("report", reads=("export", "verify"), settings=("device",), cached=False, module=_module(report)),
    )


def stage(run: Callable[..., dict[str, Any]], **row: Any) -> Stage:
    """Return a row for one of the functions above."""
    return Stage(run.__name__, module=_module(run), **row)


def _module(run: Callable[..., dict[str, Any]]) -> str:
    """Register a module like those of `edgekd.stages`, with a VERSION and a `run` that is logged; return its name."""
    module: Any = ModuleType(f"fakes_{run.__name__}")

    def counting_run(config: Any, folders: Mapping[str, Path], out: Path) -> dict[str, Any]:
        _log(f"{run.__name__} runs")
        return run(config, folders, out)

    module.VERSION, module.run = 1, counting_run
    sys.modules[module.__name__] = module
    return str(module.__name__)


def _percent(value: float) -> Quantity:
    return Quantity(value=value, unit="%", origin="measured-host", source="a test")


def _log(line: str) -> None:
    if "FAKE_LOG" in os.environ:
        with Path(os.environ["FAKE_LOG"]).open("a") as log:
            log.write(line + "\n")


def _stall(stage_name: str) -> None:
    if os.environ.get("FAKE_STALL") == stage_name:
        _log(f"{stage_name} stalls")
        time.sleep(commands.PATIENCE)


def make(
    target: str = "rpi4", log: list[str] | None = None, table: tuple[Stage, ...] | None = None, **settings: Any
) -> Report:
    """Run a build of fake stages in this process; `teacher__model` is the setting teacher.model."""
    config = configure(target, settings={key.replace("__", "."): value for key, value in settings.items()})
    return build.make(config, stages=table or stages(), log=(log if log is not None else []).append)


def start(*settings: str, **environment: str) -> subprocess.Popen[str]:
    """Start the same build in another process."""
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, "rpi4", *settings],
        env={**os.environ, "PYTHONPATH": path, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def under_torchrun() -> subprocess.CompletedProcess[str]:
    """Run the same build in two processes that train together."""
    Path("script.py").write_text(SCRIPT)
    path = os.pathsep.join([str(TESTS), str(TESTS.parent)])
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    command = [*launcher, "script.py", "rpi4"]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=commands.PATIENCE)


def wait_for(process: subprocess.Popen[str], line: str, file: Path) -> None:
    """Wait until a fake stage has written that line to FAKE_LOG."""
    assert commands.wait_for(process, lambda: file.exists() and line in file.read_text()), f"{line!r} never came"


def build_files() -> dict[str, bytes]:
    """Return the bytes of the build's files, keyed by name."""
    return {file.name: file.read_bytes() for file in Path("build/rpi4").iterdir()}
