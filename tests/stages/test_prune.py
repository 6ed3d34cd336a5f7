"""The prune stage reaches its share, meets limits without undercutting them, and resumes to the same bytes."""

import shutil

import numpy as np
import pytest
import torch

from edgekd.config import Compute, Config, Prune
from edgekd.data.splits import Split, Splits
from edgekd.distillation.losses.logits import SoftTargets
from edgekd.errors import ConfigError, ModelError, OverBudgetError
from edgekd.formats.estimate import forecast
from edgekd.nn import blueprint
from edgekd.nn.blueprint import Blueprint
from edgekd.nn.outputs import Outputs
from edgekd.pruning.criteria.magnitude import magnitude
from edgekd.pruning.groups import width
from edgekd.pruning.selection import Miss
from edgekd.pruning.widths import cost_model
from edgekd.stages import prune as stage
from edgekd.training import resume

SHAPE = (1, 8, 8)
MLP = Blueprint("mlp", {"classes": 2, "input_shape": list(SHAPE), "hidden": [32, 16]})
RESNET = Blueprint("resnet8", {"classes": 2, "input_shape": list(SHAPE), "width": 8})


def halves() -> Splits:
    """Return images of two classes, which are brighter either in the upper or in the lower half."""
    chance = np.random.default_rng(0)

    def split(n: int) -> Split:
        y = np.arange(n) % 2
        x = chance.integers(0, 100, (n, *SHAPE))
        x[y == 0, :, :4] += 150
        x[y == 1, :, 4:] += 150
        return Split(x.astype(np.uint8), y.astype(np.int64))

    return Splits(split(48), split(16), split(16), ("above", "below"), (0.5,), (0.3,))


def teacher(batch) -> Outputs:
    return Outputs(torch.nn.functional.one_hot(batch.y, 2).float() * 4)


def pruned(plan: Blueprint = MLP, budget=None, criterion=magnitude, **settings):
    model, splits = blueprint.build(plan), halves()
    prune_settings = Prune(**{"steps": 2, "epochs": 1, "batch_size": 16, **settings})
    result = stage.prune(
        model, splits, teacher, SoftTargets(), prune_settings, criterion, seed=0, compute=Compute(), budget=budget
    )
    return result, cost_model(blueprint.build(plan), SHAPE).at(())


@pytest.mark.parametrize(("plan", "keep", "of"), [(MLP, 0.3, "macs"), (MLP, 0.3, "parameters"), (RESNET, 0.5, "macs")])
def test_the_share_that_is_asked_for_remains_within_one_channel(plan, keep, of):
    result, unpruned_cost = pruned(plan, keep=keep, of=of)
    share = getattr(result.steps[-1], of) / getattr(unpruned_cost, of)
    assert keep - 0.06 < share <= keep


def test_each_cut_takes_the_same_factor_of_what_is_left():
    result, unpruned_cost = pruned(keep=0.25, steps=2)
    shares = [step.macs / unpruned_cost.macs for step in result.steps]
    assert len(shares) == 2
    assert shares[0] == pytest.approx(0.5, abs=0.04)
    assert shares[1] == pytest.approx(0.25, abs=0.04)


def test_layers_that_are_cut_are_left_with_a_multiple_of_channels():
    result, _ = pruned(RESNET, keep=0.5, channel_multiple=4)
    convolutions = [layer for layer in result.model.modules() if isinstance(layer, torch.nn.Conv2d)]
    assert all(layer.out_channels % 4 == 0 for layer in convolutions)
    assert result.steps[-1].notes == ()


def test_a_width_that_is_no_multiple_is_noted():
    plan = Blueprint("mlp", {**MLP.options, "hidden": [32, 3]})
    result, _ = pruned(plan, keep=0.5, steps=1, channel_multiple=4)
    assert result.steps[-1].notes == ("layers.3 keeps its 3 channels, no multiple of 4",)


@pytest.mark.parametrize(("per_cost", "uncut_layer"), [(True, 1), (False, 0)])
def test_scores_may_be_weighed_by_what_a_channel_costs(per_cost, uncut_layer):
    def criterion(group, batch):
        return torch.full((width(group),), 1.5 if width(group) == 32 else 1.0)

    plan = Blueprint("mlp", {**MLP.options, "hidden": [32, 8]})  # a channel of the first takes twice as many parameters
    result, _ = pruned(plan, criterion=criterion, keep=0.95, of="parameters", per_cost=per_cost, steps=1)
    widths = [layer.out_features for layer in result.model.modules() if isinstance(layer, torch.nn.Linear)]
    assert [remaining == full for remaining, full in zip(widths, (32, 8), strict=False)].index(True) == uncut_layer


def test_it_recovers_under_the_teacher():
    result, _ = pruned(keep=0.5, epochs=8, learning_rate=0.05)
    assert result.steps[-1].validation_score > 90


def test_a_criterion_takes_its_options_from_beside_its_name():
    depths = []

    def criterion_with_depth(group, batch, *, depth=0):
        depths.append(depth)
        return magnitude(group, batch)

    pruned(keep=0.8, steps=1, criterion=criterion_with_depth, depth=3)
    assert set(depths) == {3}


def test_a_share_that_can_t_be_reached_says_the_least_that_can():
    with pytest.raises(ModelError, match="is the least") as caught:
        pruned(keep=0.01, channel_multiple=8)
    assert "prune.keep=" in caught.value.remedy


def test_a_network_without_channels_to_cut_says_so_before_any_training():
    plan = Blueprint("mlp", {**MLP.options, "hidden": []})
    with pytest.raises(ModelError, match="no channels that can be pruned"):
        pruned(plan)


def weighing(limit: int):
    def budget(model) -> list[Miss]:
        size = sum(parameter.numel() for parameter in model.parameters())
        return [Miss("size_bytes", limit, size)] if size > limit else []

    return budget


def test_limits_are_met_and_not_undercut():
    result, unpruned_cost = pruned(until="limits", budget=weighing(1000))
    assert unpruned_cost.parameters > 2000
    assert 1000 - 80 < result.steps[-1].parameters <= 1000  # a channel of the first layer has 81 parameters


def test_a_student_that_fits_already_is_not_cut():
    result, _ = pruned(until="limits", budget=weighing(10_000))
    assert result.steps == ()


def test_cuts_stop_as_soon_as_the_student_fits():
    result, _ = pruned(until="limits", budget=weighing(2600), steps=4, channel_multiple=8)
    assert len(result.steps) < 4
    assert result.steps[-1].parameters <= 2600


def test_an_impossible_budget_names_the_limit_the_miss_and_the_value_that_would_do():
    with pytest.raises(OverBudgetError, match=r"limits.size_bytes of 10 B is missed by \d+ B") as caught:
        pruned(until="limits", budget=weighing(10))
    assert "--set limits.size_bytes=" in caught.value.remedy
    assert caught.value.exit_code == 3


def folders(root, plan: Blueprint = RESNET):
    """Write the artifacts that the earlier stages would have left, and return their folders."""
    halves().save(root / "data")
    model = blueprint.build(plan)
    blueprint.save(model, plan, root / "distill" / "model")
    blueprint.save(model, plan, root / "teacher" / "model")
    return {name: root / name for name in ("data", "teacher", "distill")}


def config(**prune) -> Config:
    limits = prune.pop("limits", {})
    settings = {"epochs": 2, "steps": 2, "batch_size": 16, "keep": 0.5, **prune}
    return Config.model_validate({"prune": settings, "limits": limits})


def contents(folder):
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.fixture
def artifacts(tmp_path):
    return folders(tmp_path)


def run(settings: Config, artifacts, out):
    out.mkdir(exist_ok=True)
    return stage.run(settings, artifacts, out)


def test_the_stage_leaves_a_smaller_model_and_its_metrics(artifacts, tmp_path):
    metrics = run(config(criterion="taylor", batches=2), artifacts, tmp_path / "out")
    model, plan = blueprint.load(tmp_path / "out" / "model")
    assert plan == RESNET
    assert sum(parameter.numel() for parameter in model.parameters()) == metrics["parameters"]
    assert metrics["macs"] <= 0.5 * metrics["macs_before"]
    assert metrics["parameters"] < metrics["parameters_before"]
    assert [set(step) for step in metrics["steps"]] == [{"macs", "parameters", "validation_score"}] * 2
    assert (metrics["skipped"], metrics["processes"]) == (False, 1)
    assert {file.name for file in (tmp_path / "out").iterdir()} == {"model"}


@pytest.mark.parametrize("settings", [{"criterion": "none"}, {"keep": 1.0}])
def test_nothing_to_cut_copies_the_model_and_says_skipped(settings, artifacts, tmp_path):
    metrics = run(config(**settings), artifacts, tmp_path / "out")
    assert metrics["skipped"]
    assert metrics["macs"] == metrics["macs_before"]
    assert contents(tmp_path / "out" / "model") == contents(artifacts["distill"] / "model")


class Killed(BaseException):
    """An exception in place of `kill -9`, which nothing in edgekd catches."""


@pytest.mark.parametrize("after_epochs", [1, 2, 3])
def test_a_killed_stage_goes_on_and_ends_on_the_same_bytes(after_epochs, artifacts, tmp_path, monkeypatch):
    settings = config(criterion="taylor", batches=2)
    metrics = run(settings, artifacts, tmp_path / "whole")
    save_state, epochs = resume.save_state, []

    def save_and_die(path, state):
        save_state(path, state)
        epochs.append(state.epoch)
        if len(epochs) == after_epochs:
            raise Killed

    monkeypatch.setattr(resume, "save_state", save_and_die)
    with pytest.raises(Killed):
        run(settings, artifacts, tmp_path / "broken")
    assert run(settings, artifacts, tmp_path / "broken") == metrics
    assert len(epochs) == 4, "an epoch was trained twice"
    assert contents(tmp_path / "broken") == contents(tmp_path / "whole")


def test_until_limits_fits_the_int8_file_into_its_size_and_not_far_below(artifacts, tmp_path):
    model, _ = blueprint.load(artifacts["distill"] / "model")
    limit = int(forecast(model, SHAPE, halves().classes).size_bytes * 0.8)
    settings = config(until="limits", steps=1, epochs=1, limits={"size_bytes": limit})
    run(settings, artifacts, tmp_path / "out")
    smaller, _ = blueprint.load(tmp_path / "out" / "model")
    assert 0.9 * limit < forecast(smaller, SHAPE, halves().classes).size_bytes <= limit


def test_until_limits_without_a_limit_is_refused(artifacts, tmp_path):
    with pytest.raises(ConfigError, match="no limit"):
        run(config(until="limits"), artifacts, tmp_path / "out")


def test_bn_scale_on_an_mlp_is_refused_with_another_criterion(tmp_path):
    artifacts = folders(tmp_path, MLP)
    with pytest.raises(ModelError, match="batch norm") as caught:
        run(config(criterion="bn_scale"), artifacts, tmp_path / "out")
    assert "magnitude" in caught.value.remedy
    shutil.rmtree(tmp_path / "out")
