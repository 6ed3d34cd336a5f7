"""Tests of layer losses in the training loop: with mixed precision, after a kill, and in two processes."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from support.commands import PATIENCE
from support.small_training import Tiny, small_run, stripes

from edgekd.config import Distill, Training
from edgekd.data.splits import Split, Splits
from edgekd.distillation.losses.total import total_loss
from edgekd.distillation.run import learn, network_teacher
from edgekd.models.text_encoder import TextEncoder
from edgekd.training import distributed

HERE = Path(__file__).parent
EVERY = [
    {"name": "labels"},
    {"name": "hints"},
    {"name": "patient", "layers": ["body.2"]},
    {"name": "attention", "weight": 1000},
    {"name": "gram", "layers": ["body.0", "body.2"]},
    {"name": "rkd", "weight": 0.01},
    {"name": "similarity", "weight": 10},
    {"name": "correlation"},
    {"name": "crd", "weight": 0.1, "width": 8},
]
OF_WORDS = [{"name": name} for name in ("labels", "embedding", "attention_maps", "hidden", "patient", "crd")]


def images():
    """Build toy networks for images of stripes: the student has width 4, the teacher width 6."""
    return Tiny(width=4), Tiny(width=6), stripes()


def words():
    """Build sentences of six words, whose first is their class; the student has two narrow blocks, the teacher four."""
    x = np.random.default_rng(0).integers(0, 9, (64, 6), dtype=np.int32)
    split = Split(x, (x[:, 0] > 4).astype(np.int64))
    splits = Splits(split, split, split, ("low", "high"), (0.0,), (1.0,), tuple("abcdefghi"))
    student, teacher = (
        TextEncoder(2, (6,), vocabulary=9, width=width, heads=2, layers=blocks, hidden=8)
        for width, blocks in ((8, 2), (12, 4))
    )
    return student, teacher, splits


def new_run(losses, precision="32", epochs=1, checkpoint=None, toys=images):
    """Set up a distillation that is the same on every call."""
    torch.manual_seed(0)
    student, teacher, splits = toys()
    loss = total_loss(Distill.model_validate({"losses": losses}).losses)
    loss.connect(student, teacher, splits)
    settings = Training(epochs=epochs, batch_size=32, learning_rate=0.01, precision=precision)
    answers = network_teacher(teacher, precision, loss.teacher_layers)
    return small_run(student, answers, loss, splits, settings, checkpoint)


@pytest.mark.parametrize("precision", ["32", "bf16"])
@pytest.mark.parametrize(("losses", "toys"), [(EVERY, images), (OF_WORDS, words)])
def test_all_of_them_together_train_the_student_and_their_adapters(losses, toys, precision):
    run = new_run(losses, precision, epochs=2, toys=toys)
    before = {name: parameter.clone() for name, parameter in run.loss.named_parameters()}
    result = learn(run)
    assert result.losses[1] < result.losses[0]
    assert all(not torch.equal(before[name], parameter) for name, parameter in run.loss.named_parameters())


def test_a_contrastive_training_that_was_killed_ends_as_if_it_had_not_been(tmp_path):
    losses = [{"name": "labels"}, {"name": "crd", "width": 8}]
    uninterrupted = new_run(losses, epochs=3)
    learn(uninterrupted)

    def kill(module, epoch):
        if epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        learn(new_run(losses, epochs=3, checkpoint=tmp_path / "state.ckpt"), on_epoch=kill)
    resumed = new_run(losses, epochs=3, checkpoint=tmp_path / "state.ckpt")
    assert learn(resumed).resumed_from == 2
    for one, other in ((uninterrupted.student, resumed.student), (uninterrupted.loss, resumed.loss)):
        assert all(torch.equal(value, other.state_dict()[key]) for key, value in one.state_dict().items())


@pytest.mark.slow
def test_two_processes_train_one_student_and_keep_one_bank(tmp_path):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", __file__]
    path = os.pathsep.join([str(HERE.parents[1]), str(HERE.parents[2]), os.environ.get("PYTHONPATH", "")])
    environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
    completed = subprocess.run([*command, tmp_path], env=environment, capture_output=True, text=True, timeout=PATIENCE)
    assert completed.returncode == 0, completed.stderr[-3000:]
    first, second = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first if "student." in key or "project" in key)
    untouched = new_run(EVERY).loss.state_dict()["terms.8.student_bank"]
    for state in (first, second):
        assert (state["loss.terms.8.student_bank"] != untouched).any(dim=1).all()  # 96 samples in batches of 32
    assert torch.allclose(first["loss.terms.8.student_bank"], second["loss.terms.8.student_bank"], atol=1e-6)


if __name__ == "__main__":
    run = new_run(EVERY)
    learn(run)
    state = {f"student.{key}": value for key, value in run.student.state_dict().items()}
    state |= {f"loss.{key}": value for key, value in run.loss.state_dict().items()}
    torch.save(state, Path(sys.argv[1]) / f"{distributed.rank()}.pt")
    distributed.barrier()
