"""Tests of networks on disk: they are saved and loaded without pickled code, also with pruned layers."""

import pytest
import torch
import torch_pruning
from support.small_training import stripes
from torch import nn

from edgekd.errors import ConfigError, ModelError, StoreError
from edgekd.nn import blueprint
from edgekd.nn.blueprint import Blueprint

TINY = Blueprint("support.small_training:Tiny", {"classes": 3, "width": 8})
IMAGES = torch.linspace(-1, 1, 4 * 64).reshape(4, 1, 8, 8)


class Mixed(nn.Module):
    """A network of the layers whose sizes pruning changes, such as depthwise convolution, batch norm and PReLU."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 3, padding=1)
        self.depthwise = nn.Conv2d(8, 8, 3, padding=1, groups=8)
        self.norm = nn.BatchNorm2d(8)
        self.act = nn.PReLU(8)
        self.up = nn.ConvTranspose2d(8, 6, 2, stride=2)
        self.head = nn.Linear(6, 3)

    def forward(self, x):
        return self.head(self.up(self.act(self.norm(self.depthwise(self.stem(x))))).mean((2, 3)))


def test_a_network_comes_back_as_it_was(tmp_path):
    model = blueprint.build(TINY, seed=3).eval()
    blueprint.save(model, TINY, tmp_path)
    loaded, plan = blueprint.load(tmp_path)
    assert plan == TINY and not loaded.training
    assert torch.equal(model(IMAGES), loaded(IMAGES))


def test_pruned_layers_come_back_with_their_sizes(tmp_path):
    plan = Blueprint(f"{__name__}:Mixed")
    model = blueprint.build(plan).eval()
    graph = torch_pruning.DependencyGraph().build_dependency(model, example_inputs=IMAGES)
    graph.get_pruning_group(model.stem, torch_pruning.prune_conv_out_channels, idxs=[1, 4, 5]).prune()
    graph.get_pruning_group(model.up, torch_pruning.prune_conv_out_channels, idxs=[0]).prune()
    blueprint.save(model, plan, tmp_path)
    loaded, _ = blueprint.load(tmp_path)
    assert loaded.depthwise.groups == loaded.norm.num_features == loaded.up.in_channels == loaded.head.in_features == 5
    assert repr(loaded) == repr(model)
    assert torch.equal(model(IMAGES), loaded(IMAGES))
    loaded.train()(IMAGES).sum().backward()
    assert loaded.act.weight.grad is not None


def test_the_same_network_gives_the_same_bytes(tmp_path):
    for name in ("a", "b"):
        model = blueprint.build(TINY, seed=1)
        if name == "b":
            model.to(memory_format=torch.channels_last)
        blueprint.save(model, TINY, tmp_path / name)
    for file in ("weights.pt", "blueprint.json"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_initial_weights_depend_on_the_seed_alone():
    torch.manual_seed(9)
    before = torch.get_rng_state()
    first = blueprint.build(TINY, seed=1)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    second, other = blueprint.build(TINY, seed=1), blueprint.build(TINY, seed=2)
    assert torch.equal(first.head.weight, second.head.weight)
    assert not torch.equal(first.head.weight, other.head.weight)


def test_classes_and_input_shape_are_filled_in_unless_given():
    splits = stripes(count=4)
    assert blueprint.fill_options("support.small_training:Tiny", {}, splits) == {"classes": 2, "input_shape": [1, 8, 8]}
    assert blueprint.fill_options("support.small_training:Tiny", {"classes": 7, "width": 2}, splits)["classes"] == 7
    assert blueprint.fill_options(f"{__name__}:Mixed", {}, splits) == {}


@pytest.mark.parametrize(
    ("plan", "error", "message"),
    [
        (Blueprint("support.small_training:Tiny", {"widht": 8}), ModelError, "widht"),
        (Blueprint("support.small_training:Tiny", {"width": -1}), ModelError, "can't be built"),
        (Blueprint("support.small_training:stripes"), ModelError, "is a Splits"),
        (Blueprint("resnet9"), ConfigError, "resnet9"),
    ],
)
def test_what_can_not_be_built_is_named(plan, error, message):
    with pytest.raises(error, match=message):
        blueprint.build(plan)


def test_a_damaged_folder_says_so(tmp_path):
    with pytest.raises(StoreError):
        blueprint.load(tmp_path)
    blueprint.save(blueprint.build(TINY), TINY, tmp_path)
    weights = tmp_path / "weights.pt"
    weights.write_bytes(weights.read_bytes()[:500])
    with pytest.raises(ModelError, match="damaged"):
        blueprint.load(tmp_path)


def test_a_factory_that_has_changed_since_says_so(tmp_path):
    blueprint.save(blueprint.build(TINY), TINY, tmp_path)
    text = (tmp_path / "blueprint.json").read_text()
    (tmp_path / "blueprint.json").write_text(text.replace('"width": 8', '"width": 9'))
    with pytest.raises(ModelError, match="no longer fit"):
        blueprint.load(tmp_path)
