"""Tests of projected gradient descent: the direction and size of its steps, and that it does not change the network."""

import numpy as np
import pytest
import torch
from support.small_training import linear, stripes, tiny
from torch import nn

from edgekd.data.splits import Split, Splits
from edgekd.distillation.schemes.robustness import adversarial_inputs, perturbation_bounds, score_under_pgd
from edgekd.errors import ConfigError

SPLITS = stripes()


def line(count=4):
    """Build splits of one float per sample, whose sign is the class."""
    x = np.linspace(-2, 2, count, dtype=np.float32)[:, None]
    part = Split(x, (x[:, 0] > 0).astype(np.int64))
    return Splits(part, part, part, ("below", "above"), (0.0,), (2.0,))


def sign():
    """Return a network whose confidence in the class "above" grows with its input."""
    model = nn.Linear(1, 2)
    with torch.no_grad():
        model.weight.copy_(torch.tensor([[-1.0], [1.0]]))
        model.bias.zero_()
    return model


def test_a_pixels_steps_become_normalised_units():
    within = perturbation_bounds(SPLITS, eps=51)  # a fifth of the range; mean 0.43, std 0.3
    assert within.eps.shape == (1, 1, 1, 1) and within.eps.item() == pytest.approx(0.2 / 0.3)
    assert within.low.item() == pytest.approx(-0.43 / 0.3) and within.high.item() == pytest.approx(0.57 / 0.3)


def test_float_inputs_are_moved_in_their_own_units_and_know_no_limits():
    within = perturbation_bounds(line(), eps=1.0)
    assert within.eps.item() == 0.5 and within.low is None


def test_an_attack_goes_uphill_as_far_as_it_may():
    x = torch.tensor([[0.3], [-0.2]])
    moved = adversarial_inputs(
        sign(), x, lambda logits: logits[:, 1].sum(), perturbation_bounds(line(), 1.0), 3, 0.25, torch.zeros_like(x)
    )
    torch.testing.assert_close(moved, x + 3 * 0.25 * 0.5)
    further = adversarial_inputs(
        sign(), x, lambda logits: logits[:, 1].sum(), perturbation_bounds(line(), 1.0), 9, 0.25, torch.zeros_like(x)
    )
    torch.testing.assert_close(further, x + 0.5)


def test_no_pixel_leaves_the_range_of_pixels():
    x = torch.zeros(1, 1, 8, 8) - 0.43 / 0.3
    model = linear()
    moved = adversarial_inputs(
        model, x, lambda logits: logits[:, 0].sum(), perturbation_bounds(SPLITS, 8.0), 4, 1.0, torch.zeros_like(x)
    )
    raw = (moved * 0.3 + 0.43) * 255
    assert raw.min() > -1e-3 and raw.max() < 8 + 1e-3 and raw.max() > 7.9


@pytest.mark.parametrize(("eps", "expected"), [(0.5, 100.0), (1.0, 50.0), (3.0, 0.0)])
def test_the_score_falls_by_what_lies_within_reach_of_the_border(eps, expected):
    assert score_under_pgd(sign(), line(), eps).value == expected  # samples at -2, -2/3, 2/3 and 2


def test_the_same_attack_gives_the_same_figure_and_leaves_the_network_alone():
    model = tiny(0).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    figures = [score_under_pgd(model, SPLITS, eps=20, steps=3) for _ in range(2)]
    assert figures[0] == figures[1]
    assert model.training and all(parameter.grad is None for parameter in model.parameters())
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_reach_of_nothing_is_refused():
    with pytest.raises(ConfigError, match="eps = 0"):
        perturbation_bounds(SPLITS, 0)


def test_tokens_are_refused():
    tokens = Split(np.zeros((4, 3), np.int32), np.arange(4) % 2)
    with pytest.raises(ConfigError, match="tokens"):
        perturbation_bounds(Splits(tokens, tokens, tokens, ("a", "b"), (0.0,), (1.0,), ("x", "y")), 1.0)
