"""Tests of checkpoints from other programs: common wrappings are understood, and misfits are refused by key."""

import numpy as np
import pytest
import torch
from support.small_training import Tiny
from torch import nn

from edgekd.errors import ConfigError, ModelError
from edgekd.nn import blueprint
from edgekd.nn.blueprint import Blueprint
from edgekd.nn.checkpoint import load_checkpoint
from edgekd.pruning.groups import cut, find

TINY = Blueprint("support.small_training:Tiny", {"classes": 3, "width": 8})


def save(path, content):
    torch.save(content, path)
    return path


def weights(**changes):
    return {**blueprint.build(TINY, seed=7).state_dict(), **changes}


@pytest.mark.parametrize(
    "wrap",
    [
        lambda w: w,
        lambda w: {"epoch": 3, "best": 91.2, "state_dict": w},
        lambda w: {"model": {"module." + k: v for k, v in w.items()}},
        lambda w: {"state_dict": {"model._orig_mod." + k: v for k, v in w.items()}, "optimizer": {}},
        lambda w: {k: v for k, v in w.items() if "num_batches" not in k},
    ],
)
def test_wrapped_and_prefixed_checkpoints_are_understood(tmp_path, wrap):
    model = Tiny(classes=3, width=8)
    notes = load_checkpoint(model, save(tmp_path / "a.pt", wrap(weights())))
    assert torch.equal(model.head.weight, weights()["head.weight"])
    assert bool(notes) == (wrap(weights()).keys() != weights().keys())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (weights(**{"body.9.weight": torch.zeros(2)}), r"has body\.9\.weight"),
        ({k: v for k, v in weights().items() if k != "head.bias"}, r"lacks head\.bias"),
        (weights(**{"head.weight": torch.zeros(5, 8)}), r"head\.weight \(5, 8\) instead of \(3, 8\)"),
        (weights(**{"head.bias": torch.tensor([1, np.nan, 0])}), "not finite in head.bias"),
        ({"epoch": 3}, "holds no weights, but epoch"),
        ([1, 2], "holds no weights, but list"),
    ],
)
def test_checkpoints_that_do_not_fit_are_refused_by_key(tmp_path, content, message):
    with pytest.raises(ModelError, match=message):
        load_checkpoint(Tiny(classes=3, width=8), save(tmp_path / "a.pt", content))


def test_pickled_code_is_not_run(tmp_path):
    path = save(tmp_path / "a.pt", Tiny())
    with pytest.raises(ModelError, match="pickled code") as error:
        load_checkpoint(Tiny(), path)
    assert "state_dict" in error.value.remedy


@pytest.mark.parametrize("length", [0, 40, 700, 1500])
def test_a_truncated_checkpoint_is_called_damaged(tmp_path, length):
    path = save(tmp_path / "a.pt", weights())
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(ModelError, match="damaged"):
        load_checkpoint(Tiny(), path)


@pytest.mark.parametrize("garbage", [b"hello world\n" * 30, bytes(range(256)) * 8, b"PK\x03\x04" + bytes(99)])
def test_garbage_is_called_damaged(tmp_path, garbage):
    (tmp_path / "a.pt").write_bytes(garbage)
    with pytest.raises(ModelError, match="damaged"):
        load_checkpoint(Tiny(), tmp_path / "a.pt")


def test_a_missing_checkpoint_is_a_wrong_setting(tmp_path):
    with pytest.raises(ConfigError, match="no checkpoint"):
        load_checkpoint(Tiny(), tmp_path / "a.pt")


def pruned(path):
    """Write a build's `student.pt` of a pruned Tiny, and return its path and the network."""
    model = blueprint.build(TINY, seed=5).eval()
    example = torch.zeros(1, 8, 8)
    cut(find(model, example).groups, [range(1, 6)])
    blueprint.save(model, TINY, path.parent / "model")
    return save(path, blueprint.as_checkpoint(path.parent / "model")), model


def test_a_pruned_students_file_brings_its_sizes(tmp_path):
    path, model = pruned(tmp_path / "student.pt")
    images = torch.linspace(-1, 1, 4 * 64).reshape(4, 1, 8, 8)
    fresh = Tiny(classes=3, width=8)
    assert load_checkpoint(fresh, path) == []
    assert repr(fresh) == repr(model)
    assert torch.equal(fresh.eval()(images), model(images))


def test_another_network_is_told_whose_the_file_is(tmp_path):
    path, _ = pruned(tmp_path / "student.pt")
    with pytest.raises(ModelError, match="does not fit") as refused:
        load_checkpoint(nn.Sequential(nn.Conv2d(1, 8, 3), nn.Linear(8, 3)), path)
    assert "support.small_training:Tiny" in refused.value.remedy
