"""What a network remembers of its data: the running statistics of its batch norms."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgekd.nn.outputs import Outputs, answer


def unlike_memory(network: nn.Module, x: Tensor) -> tuple[Outputs, Tensor]:
    """The answer to `x`, and how far `x` lies from what the network was trained on: mean over its batch norms'
    channels of KL(N(mean, variance of x there) || N(running mean, running variance)), in nats; 0 where it has none.

    That generated inputs should have these statistics is DeepInversion's (Yin et al., 2020, arXiv:1912.08795, equation
    4); there the distances are Euclidean, and large layers drown small ones.
    """
    distances: list[Tensor] = []

    def compare(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, _BatchNorm) and norm.running_mean is not None and norm.running_var is not None
        values = inputs[0].float().transpose(0, 1).flatten(1)
        expected = norm.running_var + norm.eps
        ratio = (values.var(1, correction=0) + norm.eps) / expected
        distances.append((ratio + (values.mean(1) - norm.running_mean).square() / expected - 1 - ratio.log()) / 2)

    norms = [each for each in network.modules() if isinstance(each, _BatchNorm) and each.running_mean is not None]
    hooks = [norm.register_forward_pre_hook(compare) for norm in norms]
    try:
        answered = answer(network, x)
    finally:
        for hook in hooks:
            hook.remove()
    return answered, torch.cat(distances).mean() if distances else answered.logits.new_zeros(())
