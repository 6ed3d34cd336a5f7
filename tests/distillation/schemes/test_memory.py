"""Tests of what the batch norms of a network remember of the data."""

import torch
from torch import nn

from edgekd.distillation.schemes.memory import statistics_distance


def remembering(mean: float, deviation: float) -> nn.Module:
    network = nn.Sequential(nn.BatchNorm2d(2), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(2, 3))
    norm = network[0]
    norm.running_mean.fill_(mean)
    norm.running_var.fill_(deviation**2)
    return network.eval()


def spread(mean: float, deviation: float) -> torch.Tensor:
    torch.manual_seed(0)
    noise = torch.randn(64, 2, 8, 8)
    axes = (0, 2, 3)
    return (noise - noise.mean(axes, keepdim=True)) / noise.std(axes, keepdim=True, correction=0) * deviation + mean


def test_what_a_network_was_trained_on_is_not_unlike_it():
    network = remembering(3.0, 2.0)
    answered, distance = statistics_distance(network, spread(3.0, 2.0))
    assert 0 <= float(distance) < 1e-5
    torch.testing.assert_close(answered.logits, network(spread(3.0, 2.0)))


def test_the_distance_is_the_divergence_of_two_normal_distributions():
    _, distance = statistics_distance(remembering(1.0, 2.0), spread(4.0, 3.0))
    here, remembered = torch.distributions.Normal(4.0, 3.0), torch.distributions.Normal(1.0, 2.0)
    torch.testing.assert_close(distance, torch.distributions.kl_divergence(here, remembered), rtol=1e-4, atol=0)


def test_it_has_a_gradient_and_leaves_the_network_as_it_was():
    network, x = remembering(0.0, 1.0), spread(1.0, 1.0).requires_grad_()
    (slope,) = torch.autograd.grad(statistics_distance(network, x)[1], x)
    assert (slope > 0).float().mean() > 0.9  # down to the mean that is remembered
    assert float(network[0].running_mean.abs().sum()) == 0
    assert not network[0]._forward_pre_hooks


def test_without_batch_norms_nothing_is_remembered():
    _, distance = statistics_distance(nn.Sequential(nn.Flatten(), nn.Linear(128, 3)), spread(0.0, 1.0))
    assert float(distance) == 0.0
