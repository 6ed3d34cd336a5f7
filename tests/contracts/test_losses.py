"""Every loss of the catalog maps (student, teacher, labels) to a finite scalar that teaches the student."""

import pytest
import torch
from torch import nn

from edgekd import catalog
from edgekd.nn.layers import Networks, survey
from edgekd.nn.outputs import Outputs, answer

CLASSES, SAMPLES = 5, 16


class Net(nn.Module):
    """A network of a given width: two stages of feature maps, a vector, and the answers."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.stage1 = nn.Sequential(nn.Conv2d(3, width, 3, padding=1), nn.Tanh())
        self.stage2 = nn.Sequential(nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.Tanh())
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(2 * width, CLASSES)

    def forward(self, x):
        return self.linear(self.flatten(self.stage2(self.stage1(x)).mean((2, 3), keepdim=True)))


class Words(nn.Module):
    """A small transformer: an embedding, two blocks with attention, and the answers."""

    def __init__(self, width: int, blocks: int) -> None:
        super().__init__()
        from edgekd.models.text_encoder import TextEncoder

        self.net = TextEncoder(CLASSES, (6,), vocabulary=20, width=width, heads=2, layers=blocks, hidden=8, dropout=0.0)

    def forward(self, x):
        return self.net(x)


FOR_WORDS = {"patient", "embedding", "attention_maps", "hidden"}
"""Losses made for a transformer's layers."""


def x_for(name: str, count: int, seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    if name in FOR_WORDS:
        return torch.randint(20, (count, 6), generator=generator, dtype=torch.int32)
    return torch.randn(count, 3, 8, 8, generator=generator)


@pytest.fixture(params=catalog.LOSSES)
def name(request):
    return request.param


@pytest.fixture
def networks(name):
    torch.manual_seed(1)
    return (Words(8, 2), Words(12, 4)) if name in FOR_WORDS else (Net(4), Net(6))


@pytest.fixture
def loss(name, networks):
    """Return the loss, connected to both networks as it is before training."""
    torch.manual_seed(2)
    instance = catalog.load("loss", name)()
    if hasattr(instance, "connect"):
        example = x_for(name, 1)[0]
        layers = [survey(network, example) for network in networks]
        instance.connect(Networks(*layers, classes=CLASSES, samples=SAMPLES))
        assert instance.pairs
    return instance


def answers(name, networks, loss, count, scale=1.0):
    """Return what the student and the teacher answer to `count` samples."""
    x, index = x_for(name, count), torch.arange(count)
    pairs = getattr(loss, "pairs", ())
    ours = answer(networks[0], x, [pair.student.name for pair in pairs], index)
    with torch.no_grad():
        theirs = answer(networks[1], x, [pair.teacher.name for pair in pairs], index)
    ours.logits, theirs.logits = scale * ours.logits, scale * theirs.logits
    return ours, theirs, index % CLASSES


@pytest.mark.parametrize("count", [2, 7])
def test_it_is_a_finite_scalar(name, networks, loss, count):
    value = loss(*answers(name, networks, loss, count))
    assert value.ndim == 0 and torch.isfinite(value)


def test_it_teaches_the_student(name, networks, loss):
    optimizer = torch.optim.SGD([*networks[0].parameters(), *loss.parameters()], lr=1e-2)
    values = []
    for _ in range(20):
        torch.manual_seed(0)  # a loss may draw samples
        value = loss(*answers(name, networks, loss, 8))
        values.append(value.item())
        optimizer.zero_grad()
        value.backward()
        assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in networks[0].parameters())
        assert all(p.grad is None for p in networks[1].parameters())
        assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in loss.parameters())
        optimizer.step()
    assert values[-1] < values[0]


def test_confident_answers_leave_it_finite(name, networks, loss):
    value = loss(*answers(name, networks, loss, 4, scale=1e4))
    value.backward()
    assert torch.isfinite(value)
    assert all(torch.isfinite(p.grad).all() for p in networks[0].parameters() if p.grad is not None)


def test_a_batch_of_one_sample_is_no_trouble(name, networks, loss):
    value = loss(*answers(name, networks, loss, 1))
    value.backward()
    assert torch.isfinite(value)
    gradients = [p.grad for p in networks[0].parameters() if p.grad is not None]
    assert gradients and all(torch.isfinite(gradient).all() for gradient in gradients)


def test_samples_that_are_all_alike_are_no_trouble(name, networks, loss):
    ours, theirs, labels = answers(name, networks, loss, 4)

    def alike(outputs):
        features = {key: value[:1].expand_as(value) for key, value in outputs.features.items()}
        return Outputs(outputs.logits[:1].expand_as(outputs.logits), features, outputs.index)

    loss(alike(ours), alike(theirs), labels).backward()
    gradients = [p.grad for p in networks[0].parameters() if p.grad is not None]
    assert gradients and all(gradient.abs().max() < 1e3 for gradient in gradients)


BETWEEN_SAMPLES = {"dist", "crd", "rkd", "similarity", "correlation"}
"""Losses that compare the samples of a batch, or of all data, with one another, and so are no mean over them."""


def test_a_batch_is_the_mean_of_its_samples(name, networks, loss):
    """Otherwise the batch size, and how processes share a batch, would change what a step means."""
    if name in BETWEEN_SAMPLES:
        pytest.skip("it compares the samples of a batch with one another")
    student, teacher, labels = answers(name, networks, loss, 4)

    def one(outputs, at):
        features = {key: value[at : at + 1] for key, value in outputs.features.items()}
        return Outputs(outputs.logits[at : at + 1], features, outputs.index[at : at + 1])

    loss.eval()
    singles = [loss(one(student, i), one(teacher, i), labels[i : i + 1]) for i in range(4)]
    assert torch.allclose(loss(student, teacher, labels), torch.stack(singles).mean(), rtol=1e-4, atol=1e-6)


def test_it_gives_back_the_same_value_for_the_same_answers(name, networks, loss):
    loss.eval()
    arguments = answers(name, networks, loss, 4)
    torch.manual_seed(0)
    first = loss(*arguments)
    torch.manual_seed(0)
    assert torch.equal(first, loss(*arguments))
