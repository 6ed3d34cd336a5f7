"""Tests of schemes that a config selects, `distill.scheme = {name = "...", option = ...}`, in the distill stage."""

import json

import pytest
from support.small_training import Tiny, stripes

from edgekd.config import Config
from edgekd.config.resolve import configure
from edgekd.errors import ConfigError
from edgekd.nn import blueprint
from edgekd.nn.blueprint import Blueprint
from edgekd.stages import distill as stage

SPLITS = stripes()
LOOKING_INSIDE = [{"name": "logits", "hard": 0.5}, {"name": "attention", "layers": ["body.2:body.2"]}]


@pytest.fixture
def inputs(tmp_path):
    SPLITS.save(tmp_path / "data")
    plan = Blueprint("support.small_training:Tiny", {"width": 6})
    blueprint.save(blueprint.build(plan, seed=4), plan, tmp_path / "teacher" / "model")
    return {"data": tmp_path / "data", "teacher": tmp_path / "teacher"}


@pytest.mark.parametrize(
    ("scheme", "measurements"),
    [
        ({"name": "mutual", "peers": 3, "with_teacher": True}, []),
        ({"name": "born_again", "generations": 2, "ensemble": True}, []),
        (
            {"name": "assistant", "assistant": [{"model": "support.small_training:Tiny", "width": 5}]},
            ["assistant 1 of 1, support.small_training:Tiny"],
        ),
        ({"name": "self", "layers": ["body.1"], "with_teacher": True}, ["classifier at body.1"]),
        ({"name": "stream", "windows": 3}, [f"window {number} of 3" for number in (1, 2, 3)]),
        ({"name": "robust", "steps": 2}, ["test set under PGD, 20 steps, eps 8"]),
        ({"name": "adversarial", "width": 8}, []),
    ],
    ids=lambda value: value.get("name") if isinstance(value, dict) else "",
)
def test_a_scheme_runs_under_losses_that_look_inside(scheme, measurements, inputs, tmp_path):
    section = {"epochs": 1, "batch_size": 16, "baseline": False, "scheme": scheme, "losses": LOOKING_INSIDE}
    config = Config.model_validate(
        {"student": {"model": "support.small_training:Tiny"}, "distill": section, "data": {"augment": {"shift": 0}}}
    )
    (tmp_path / "out").mkdir()
    metrics = json.loads(json.dumps(stage.run(config, inputs, tmp_path / "out")))
    assert metrics["scheme"] == scheme["name"]
    assert [row["what"] for row in metrics["transfer"]["along_the_way"]] == measurements
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["model"]
    student, _ = blueprint.load(tmp_path / "out" / "model")
    assert student.state_dict().keys() == Tiny().state_dict().keys()


def test_an_option_that_a_scheme_does_not_take_is_refused_with_the_right_one(tmp_path):
    with pytest.raises(ConfigError, match=r"distill\.scheme\.peer: scheme 'mutual' takes peers") as refused:
        configure(None, None, {"distill.scheme": {"name": "mutual", "peer": 2}})
    assert "distill.scheme.peers" in refused.value.remedy
