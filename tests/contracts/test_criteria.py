"""Every criterion of the catalog gives one finite score per channel of each group, and the same ones when repeated."""

import inspect

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from edgekd import catalog
from edgekd.data.splits import Split, Splits
from edgekd.pruning.groups import find, score, width
from edgekd.pruning.saliency import SaliencyData

SHAPE = (1, 8, 8)


def saliency_data(model: torch.nn.Module) -> SaliencyData:
    part = Split(np.random.default_rng(0).integers(0, 256, (8, *SHAPE), dtype=np.uint8), np.arange(8) % 3)
    splits = Splits(part, part, part, ("a", "b", "c"), (0.5,), (0.3,))
    return SaliencyData(model, splits, 4, lambda batch: F.cross_entropy(model(batch.x), batch.y), seed=0)


@pytest.mark.parametrize("name", catalog.CRITERIA)
def test_it_takes_a_group_and_data_and_its_options_have_defaults(name):
    criterion = catalog.load("criterion", name)
    group, data, *options = inspect.signature(criterion).parameters.values()
    assert (group.name, data.name) == ("group", "data")
    assert all(option.kind is option.KEYWORD_ONLY and option.default is not option.empty for option in options)
    assert inspect.getdoc(criterion)


@pytest.mark.parametrize("network", ["resnet8", "dscnn"])
@pytest.mark.parametrize("name", catalog.CRITERIA)
def test_it_scores_every_channel_and_gives_the_same_scores_again(name, network):
    torch.manual_seed(0)
    model = catalog.load("model", network)(classes=3, input_shape=SHAPE, width=8)
    criterion = catalog.load("criterion", name)
    weights = {key: value.clone() for key, value in model.state_dict().items()}
    for group in find(model, SHAPE).groups:
        scores = score(group, saliency_data(model), criterion, {}, name)
        assert scores.shape == (width(group),)
        assert torch.equal(scores, score(group, saliency_data(model), criterion, {}, name))
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())
