"""A complete build writes the expected files, reuses earlier work, and is reproducible."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from support import commands

import edgekd
from edgekd.results import Report

pytestmark = pytest.mark.e2e


def report(folder: Path, target: str = "rpi4") -> Report:
    return Report.model_validate_json((folder / "build" / target / "report.json").read_text(encoding="utf-8"))


def test_a_build_leaves_its_files_and_a_proof_that_they_are_right(finished: Path) -> None:
    names = {path.name for path in (finished / "build" / "rpi4").iterdir()}
    assert names == {*commands.MODELS, "report.json", "report.md", "report.html"}
    built = report(finished)
    assert built.parity
    assert built.missed == ()
    proof = {row.name: row.differing for row in built.boundaries if row.exact}
    assert proof["litert"] == proof["onnxruntime"] == 0
    assert {row.path for row in built.files} == set(commands.MODELS)
    assert [row.stage for row in built.stages] == ["teacher", "distilled", "pruned", "int8"]
    assert "int8" in (finished / "stdout").read_text()
    assert "<svg" in (finished / "build" / "rpi4" / "report.html").read_text(encoding="utf-8")


def test_nothing_is_left_lying_about_by_a_build(finished: Path) -> None:
    assert list((finished / ".edgekd" / "work").iterdir()) == []
    assert {path.name for path in (finished / ".edgekd").iterdir()} == {*commands.CACHED, "work"}


def test_the_same_build_in_another_store_gives_the_same_bytes(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "edgekd.toml").write_text(commands.TINY)
    process = commands.run(tmp_path, *commands.BUILD, "--store", "another store")
    assert process.returncode == 0, process.stderr
    assert commands.files(tmp_path) == commands.files(finished)


def test_two_targets_share_teacher_and_student(finished: Path, tmp_path: Path) -> None:
    shutil.copytree(finished / ".edgekd", tmp_path / ".edgekd")
    (tmp_path / "edgekd.toml").write_text(commands.TINY)
    process = commands.run(tmp_path, "build", "--target", "cortex-m4")
    assert process.returncode == 0, process.stderr
    for stage in ("data", "teacher", "distill"):
        assert f"{stage:9} reused" in process.stderr
        assert len(list((tmp_path / ".edgekd" / stage).iterdir())) == 1
    assert "quantize  ran" in process.stderr
    assert report(tmp_path, "cortex-m4").missed == ()


def test_the_python_call_gives_the_report(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(finished)
    built = edgekd.build("rpi4", settings={"profile.seconds": 0.01}, out=tmp_path / "out")
    assert isinstance(built, Report)
    assert built.boundaries == report(finished).boundaries
    assert json.loads((tmp_path / "out" / "report.json").read_text())["target"]["name"] == "rpi4"
    rows = edgekd.verify("rpi4", settings={"profile.seconds": 0.01}, out=tmp_path / "out")
    assert rows == built.boundaries


def test_verify_and_report_read_a_finished_build(finished: Path) -> None:
    process = commands.run(finished, "verify", "--target", "rpi4")
    assert process.returncode == 0, process.stderr
    assert process.stdout.count("passed  0 of 3,600 outputs differ from reference") == 3
    process = commands.run(finished, "report", "--target", "rpi4")
    assert (process.returncode, process.stderr) == (0, "")
    assert "pruned" in process.stdout


def test_explain_reuses_what_a_build_has_made_and_names_what_a_setting_changes(finished: Path) -> None:
    process = commands.run(finished, "explain", "--target", "rpi4")
    assert (process.returncode, process.stderr) == (0, "")
    reused = [line.split()[0] for line in process.stdout.splitlines() if line.split()[1] == "reused"]
    assert reused == list(commands.CACHED)
    process = commands.run(finished, "explain", "--target", "rpi4", "--set", "quantize.epochs=3")
    assert "\nquantize  would run because quantize.epochs was 2, is 3\n" in process.stdout
    assert "\nexport    would run because quantize is another: it runs again\n" in process.stdout


def test_two_processes_train_together_and_the_report_says_so(tmp_path: Path) -> None:
    (tmp_path / "edgekd.toml").write_text(commands.TINY)
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    process = commands.run(tmp_path, *commands.BUILD, launcher=torchrun, OMP_NUM_THREADS="1")
    assert process.returncode == 0, process.stderr
    built = report(tmp_path)
    assert built.training["distill"]["processes"] == 2
    assert built.parity
    assert "2 processes" in (tmp_path / "build" / "rpi4" / "report.md").read_text(encoding="utf-8")


NETS = """
from torch import nn

class Tiny(nn.Module):
    def __init__(self, classes, width=8):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU())
        self.head = nn.Linear(width, classes)

    def forward(self, x):
        return self.head(self.body(x).mean((2, 3)))
"""
SETS = """
import numpy as np

def stripes(count, noise=0.3):
    chance = np.random.default_rng(0)
    def part():
        y = np.arange(count) % 2
        x = np.tile(np.arange(8) % 2, (count, 8, 1)).astype(np.float32)
        x[y == 1] = x[y == 1].transpose(0, 2, 1)
        return (x + chance.normal(0, noise, x.shape))[:, None], y
    return {"train": part(), "test": part(), "classes": ["upright", "lying"]}
"""
LOSSES = """
from torch import nn

class Logits(nn.Module):
    def __init__(self, labels=0.5):
        super().__init__()
        self.labels = labels

    def forward(self, student, teacher, labels):
        hard = nn.functional.cross_entropy(student.logits, labels)
        return nn.functional.mse_loss(student.logits, teacher.logits) + self.labels * hard
"""
OWN = """\
limits.score_drop = 100
profile = { rounds = 1, seconds = 0.02 }
distill = { epochs = 4, losses = [{ name = "mypkg.losses:Logits", labels = 0.1 }] }
prune = { steps = 1, epochs = 1, keep = 0.8, channel_multiple = 1 }
quantize.epochs = 1

[data]
name = "mypkg.sets:stripes"
count = 128
augment.shift = 0

[teacher]
model = "mypkg.nets:Tiny"
width = 16
epochs = 6

[student]
model = "mypkg.nets:Tiny"
"""


def test_a_users_own_data_model_and_loss_are_named_in_a_short_config(tmp_path: Path) -> None:
    place = tmp_path / "my project ü"
    (place / "mypkg").mkdir(parents=True)
    for name, source in {"__init__": "", "nets": NETS, "sets": SETS, "losses": LOSSES}.items():
        (place / "mypkg" / f"{name}.py").write_text(source)
    (place / "edgekd.toml").write_text(OWN)
    assert OWN.count("\n") < 20
    process = commands.run(place, *commands.BUILD)
    assert process.returncode == 0, process.stderr
    built = report(place)
    assert built.parity
    assert built.data["classes"] == ["upright", "lying"]
    assert built.stages[-1].score.value > 75
    assert b"upright" in (place / "build" / "rpi4" / "model.tflite").read_bytes()
    assert sys.executable not in (place / "build" / "rpi4" / "report.json").read_text(encoding="utf-8")
