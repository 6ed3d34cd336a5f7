"""Tests that two processes under torchrun do together what a single process does."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from support.commands import PATIENCE
from support.small_training import linear, small_run, stripes
from torch.nn import functional as F

from edgekd.config import Augment, Compute, Training
from edgekd.data.batches import Views
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.distillation.schemes.stream import stream
from edgekd.distillation.teachers.answer_cache import write
from edgekd.nn.outputs import Outputs
from edgekd.training import distributed
from edgekd.training.fit import fit

HERE = Path(__file__).parent
SETTINGS = Training(epochs=3, batch_size=16)
SHIFT = Augment(shift=1)


def train_twice(checkpoint: Path | None = None) -> tuple[torch.nn.Module, int]:
    """Train twice in one process group, without batch norm; the second time with an unused layer and shifted images."""
    torch.manual_seed(distributed.rank())  # DDP hands out the main process's weights
    model = linear()
    if distributed.is_main():
        torch.manual_seed(0)
        model = linear()

    def step(module, batch):
        return F.cross_entropy(module(batch.x), batch.y)

    def partial_step(module, batch):
        return F.cross_entropy(module["used"](batch.x), batch.y)

    both = {"seed": 0, "compute": Compute(accelerator="cpu", threads=1)}
    fit(model, step, stripes(), SETTINGS, checkpoint=checkpoint, title="distill", **both)
    container = torch.nn.ModuleDict({"used": model, "unused": torch.nn.Linear(2, 2)})
    views = Views(seed=1, count=2)
    result = fit(container, partial_step, stripes(), SETTINGS, title="distill", augment=SHIFT, views=views, **both)
    return model, result.processes


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__, folder]
    path = os.pathsep.join([str(HERE.parent), str(HERE.parents[1]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    completed = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert completed.returncode == 0, completed.stderr[-3000:]
    return folder


def test_both_processes_end_on_the_same_weights(shared):
    first, second = (torch.load(shared / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert first["processes"] == second["processes"] == 2
    assert all(torch.equal(first["weights"][key], value) for key, value in second["weights"].items())


def test_they_end_where_one_process_ends(shared):
    model, count = train_twice()
    weights = torch.load(shared / "0.pt", weights_only=True)["weights"]
    assert count == 1
    assert all(torch.allclose(weights[key], value, atol=1e-4) for key, value in model.state_dict().items())


def test_only_the_main_process_computes_what_it_tells_the_others(shared):
    messages = [torch.load(shared / f"{rank}.pt", weights_only=True)["message"] for rank in range(2)]
    assert messages == ["from 0", "from 0"]


def test_the_main_process_computes_when_the_others_have_come(shared):
    """The main process must not remove a file that another process is still reading."""
    assert [torch.load(shared / f"{rank}.pt", weights_only=True)["late_file"] for rank in range(2)] == [True, True]


def test_each_asks_the_teacher_about_its_own_shards_and_the_answers_are_those_of_one_process(shared, tmp_path):
    first, second = (torch.load(shared / f"{rank}.pt", weights_only=True)["questions"] for rank in range(2))
    single_process = store_answers(tmp_path)
    assert len(first) == 3 and len(second) == 2 and sorted(first + second) == sorted(single_process)
    names = [file.name for file in sorted((shared / "answers").glob("*.npy"))]
    assert len(names) == 5
    assert all((tmp_path / name).read_bytes() == (shared / "answers" / name).read_bytes() for name in names)


def test_a_streams_windows_count_the_samples_of_both(shared):
    first, second = (torch.load(shared / f"{rank}.pt", weights_only=True)["windows"] for rank in range(2))
    single_process = windows()
    assert len(single_process) == 4 and all(source.startswith("16 samples") for source, _ in single_process)
    assert any(right for _, right in single_process)
    assert first == second == single_process


def windows() -> list[tuple[str, float]]:
    """Return each stream window's source and teacher score in percent, with a teacher that does not learn."""
    torch.manual_seed(0)
    student, teacher = linear(), linear()
    settings = Training(batch_size=16, warmup=0)
    run = small_run(student, lambda batch: None, SoftTargets(), stripes(64), settings, teacher_network=lambda: teacher)
    rows = stream(run, windows=4, teacher_learns=False).along_the_way
    return [(row.score.source, row.score_teacher.value) for row in rows]


def store_answers(folder: Path) -> list[list[int]]:
    """Store a teacher's answers, and return the sample indices of each batch it was asked about."""
    questions = []

    def teacher(batch):
        questions.append(batch.index.tolist())
        return Outputs(batch.x.flatten(1)[:, :2])

    write(folder, teacher, stripes(), Views(0, 1), Augment(), any_view=True, shard_bytes=4 * 20)
    return questions


if __name__ == "__main__":
    out = Path(sys.argv[1])
    if distributed.is_main():
        (out / "answers").mkdir()
    distributed.barrier()
    questions = store_answers(out / "answers")
    model, count = train_twice(out / "state")
    streamed = windows()
    message = distributed.from_main(lambda: f"from {distributed.rank()}")
    if not distributed.is_main():
        time.sleep(0.5)  # it is late, and the main process must wait for it
        (out / "late").touch()
    late_file = distributed.from_main(lambda: (out / "late").exists())
    torch.save(
        {
            "weights": model.state_dict(), "processes": count, "message": message, "questions": questions,
            "late_file": late_file, "windows": streamed,
        },
        out / f"{distributed.rank()}.pt",
    )  # fmt: skip
    distributed.barrier()
