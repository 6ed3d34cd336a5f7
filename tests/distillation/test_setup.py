"""Tests of the rehearsal: what teacher, losses or scheme refuse is refused before any training."""

import numpy as np
import pytest
from support.small_training import stripes
from torch import nn

from edgekd import catalog
from edgekd.config import Config
from edgekd.distillation.setup import rehearse
from edgekd.errors import ConfigError, EdgekdError, ModelError
from edgekd.training import fit

SPLITS = stripes()
HERE = __name__


def loud(x):
    """A teacher that answers with three classes, although the data has two."""
    return np.zeros((len(x), 3))


class Two(nn.Sequential):
    """A model that always has two classes, regardless of its options."""

    def __init__(self):
        super().__init__(nn.Flatten(), nn.Linear(64, 2))


def steady(x):
    return np.zeros((len(x), 2))


def rehearsed(teacher=None, **distill):
    models = {"teacher": {"model": "resnet20", **(teacher or {})}, "student": {"model": "resnet8", "width": 4}}
    rehearse(Config.model_validate({**models, "distill": {"batch_size": 4, **distill}}), SPLITS, {})


@pytest.fixture(autouse=True)
def no_training(monkeypatch):
    def refuse(*_, **__):
        pytest.fail("something was trained")

    monkeypatch.setattr(fit._Fit, "run", refuse)


@pytest.mark.parametrize("name", catalog.SCHEMES)
def test_every_scheme_comes_as_far_as_its_first_training(name):
    rehearsed(scheme={"name": name})


@pytest.mark.parametrize(
    ("teacher", "distill", "says"),
    [
        ({}, {"losses": [{"name": "attention", "layers": ["layer9:layer1"]}]}, "layer9"),
        ({"call": f"{HERE}:steady"}, {"losses": [{"name": "hints"}]}, "needs the teacher's layers"),
        ({"members": 2}, {"losses": [{"name": "hints"}]}, "needs the teacher's layers"),
        ({"call": f"{HERE}:steady"}, {"scheme": "stream"}, "needs the teacher as a torch network"),
        ({"call": f"{HERE}:loud"}, {}, "2 classes"),
        ({"also": [{"call": f"{HERE}:loud"}]}, {}, "2 classes"),
        ({}, {"scheme": {"name": "stream", "windows": 0}}, "don't fill 0 windows"),
        ({}, {"scheme": {"name": "assistant", "assistant": "resnet99"}}, "no model named 'resnet99'"),
        ({}, {"scheme": {"name": "assistant", "assistant": {"model": "resnet20", "widht": 3}}}, "widht"),
        ({}, {"scheme": {"name": "self", "layers": ["layer9"]}}, "has no layer 'layer9'"),
        ({}, {"scheme": {"name": "born_again", "generations": 0}}, "must be 1 or more"),
        ({}, {"scheme": {"name": "robust", "clean": 2}}, r"clean = 2.0 in \[0, 1\]"),
        ({"model": f"{HERE}:Two", "specialists": 2}, {}, "takes no option `classes`"),
    ],
)
def test_what_can_not_be_had_together_is_refused(teacher, distill, says):
    with pytest.raises(EdgekdError, match=says):
        rehearsed(teacher, **distill)


def test_a_checkpoint_of_another_network_is_refused(tmp_path):
    (tmp_path / "big.pt").write_bytes(b"no checkpoint")
    with pytest.raises(ModelError, match=r"big\.pt is damaged"):
        rehearsed({"checkpoint": str(tmp_path / "big.pt")})


def test_answers_that_do_not_fit_are_refused(tmp_path):
    np.savez(tmp_path / "api.npz", logits=np.zeros((7, 2)))
    with pytest.raises(ModelError, match="7 answers"):
        rehearsed({"answers": str(tmp_path / "api.npz")})


def test_a_scheme_of_the_users_own_is_not_tried_out(own_folder):
    """It may train in a way that a rehearsal could not stop."""
    (own_folder / "my_scheme.py").write_text(
        "def mine(distillation, often: int = 1):\n    raise AssertionError('it was run')\n"
    )
    rehearsed(scheme="my_scheme:mine")
    with pytest.raises(ConfigError, match="valid integer"):
        rehearsed(scheme={"name": "my_scheme:mine", "often": "daily"})


def test_options_of_another_type_are_refused():
    with pytest.raises(ConfigError, match="valid integer"):
        rehearsed(scheme={"name": "mutual", "peers": "two"})
