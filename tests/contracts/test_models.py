"""Every model of the catalog builds, answers, learns, exports as a graph, and is restored from options and weights."""

import inspect

import pytest
import torch
from torch.nn import functional as F

from edgekd import catalog
from edgekd.catalog import signatures

TYPICAL = {"mlp": (1, 8, 8), "dscnn": (1, 49, 10), "conv1d": (3, 64), "text_encoder": (12,), "gru_keyword": (20, 10)}
TAKING_TOKENS = ("text_encoder",)
COLOUR = (3, 16, 16)
DEEP = ("resnet32", "resnet44", "resnet56")
"""resnet20 with more blocks: capturing it says as much."""
TAKING_IMAGES = [name for name in catalog.MODELS if len(TYPICAL.get(name, COLOUR)) == 3]


def inputs(name: str, count: int) -> torch.Tensor:
    shape = TYPICAL.get(name, COLOUR)
    return torch.randint(0, 1000, (count, *shape)) if name in TAKING_TOKENS else torch.randn(count, *shape)


def build(name: str, shape: tuple[int, ...]) -> torch.nn.Module:
    torch.manual_seed(0)
    return catalog.load("model", name)(classes=5, input_shape=list(shape))


@pytest.mark.parametrize("name", catalog.MODELS)
def test_it_names_classes_and_input_shape_so_that_the_data_fills_them_in(name):
    options = signatures.signature("model", name)
    assert options is not None
    assert options.options[:2] == ("classes", "input_shape")
    assert options.required == ("classes", "input_shape")
    assert inspect.getdoc(catalog.load("model", name))


@pytest.mark.parametrize("name", catalog.MODELS)
def test_it_gives_logits_and_comes_back_from_its_options_and_weights(name):
    shape = TYPICAL.get(name, COLOUR)
    x = inputs(name, 2)
    model = build(name, shape)
    assert model.train()(x).shape == (2, 5)
    restored = catalog.load("model", name)(classes=5, input_shape=shape)
    restored.load_state_dict(model.state_dict(), strict=True)
    logits = model.eval()(x)
    assert logits.dtype == torch.float32
    assert logits.isfinite().all()
    torch.testing.assert_close(restored.eval()(x), logits, rtol=0, atol=0)


@pytest.mark.parametrize("name", catalog.MODELS)
def test_every_weight_gets_a_gradient(name):
    shape = TYPICAL.get(name, COLOUR)
    model = build(name, shape).train()
    F.cross_entropy(model(inputs(name, 4)), torch.arange(4)).backward()
    assert all(weight.grad is not None and weight.grad.isfinite().all() for weight in model.parameters())


@pytest.mark.parametrize("name", TAKING_IMAGES)
def test_it_takes_the_small_grey_digits(name):
    assert build(name, (1, 8, 8)).eval()(torch.randn(2, 1, 8, 8)).shape == (2, 5)


@pytest.mark.parametrize("name", [name for name in catalog.MODELS if name not in DEEP])
def test_torch_export_captures_it_whole(name):
    x = inputs(name, 2)
    model = build(name, TYPICAL.get(name, COLOUR)).eval()
    exported = torch.export.export(model, (x,)).module()
    torch.testing.assert_close(exported(x), model(x))
