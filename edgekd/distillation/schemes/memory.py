"""The running statistics of batch norms as a description of the data that a network was trained on."""

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from edgekd.nn.outputs import Outputs, answer


def statistics_distance(network: nn.Module, x: Tensor) -> tuple[Outputs, Tensor]:
    """Return the answer to `x`, and the distance of `x` from the network's training data: the mean over the channels of
    its batch norms of KL(N(mean, variance of x there) || N(running mean, running variance)), in nats.

    The distance is 0 where the network has no batch norm. DeepInversion introduced this objective for generated inputs
    (Yin et al., 2020, arXiv:1912.08795, equation 4), with Euclidean distances, in which large layers dominate.
    """
    distances: list[Tensor] = []

    def compare(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, _BatchNorm) and norm.running_mean is not None and norm.running_var is not None
        values = inputs[0].float().transpose(0, 1).flatten(1)
        expected = norm.running_var + norm.eps
        ratio = (values.var(1, correction=0) + norm.eps) / expected
        distances.append((ratio + (values.mean(1) - norm.running_mean).square() / expected - 1 - ratio.log()) / 2)

    norms = [
        module for module in network.modules() if isinstance(module, _BatchNorm) and module.running_mean is not None
    ]
    hooks = [norm.register_forward_pre_hook(compare) for norm in norms]
    try:
        outputs = answer(network, x)
    finally:
        for hook in hooks:
            hook.remove()
    return outputs, torch.cat(distances).mean() if distances else outputs.logits.new_zeros(())
