"""Stochastic weight averaging (Izmailov et al., 2018, arXiv:1803.05407): the mean of what the last epochs ended on."""

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from edgekd.nn.batches import Batch
from edgekd.nn.evaluate import channels_last
from edgekd.nn.outputs import answer


class Averaging:
    """The mean of a network's weights over the ends of the last epochs of its training.

    Args:
        network: that is trained.
        last: how many epochs.
    """

    def __init__(self, network: nn.Module, last: int) -> None:
        self.network, self.last = network, last
        self.mean = AveragedModel(network)

    def to(self, device: torch.device) -> None:
        """Move what is kept."""
        self.mean.to(device)

    def epoch_ended(self, left: int) -> None:
        """Take the weights as they are now into the mean, where no more than `last` epochs count.

        Args:
            left: epochs that are still to come.
        """
        if left < self.last:
            self.mean.update_parameters(self.network)

    def state(self) -> dict[str, Any]:
        """What a resumed training goes on from."""
        return dict(self.mean.state_dict())

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from there."""
        self.mean.load_state_dict(state)

    def take(self, batches: Iterable[Batch]) -> None:
        """Give the network the mean, and batch norms the statistics that go with it: of these batches, all alike."""
        self.network.load_state_dict(self.mean.module.state_dict())
        norms = [norm for norm in self.network.modules() if isinstance(norm, nn.modules.batchnorm._BatchNorm)]
        norms = [norm for norm in norms if norm.track_running_stats]
        if not norms:
            return
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over the batches
        self.network.train()
        with torch.no_grad():
            for batch in batches:
                answer(self.network, channels_last(batch.x), (), batch.index)
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
