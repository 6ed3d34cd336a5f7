"""The data of a pruning criterion, beside the weights: training batches, a seed, and the loss's gradients."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor, nn

from edgekd.data.batches import Batch, batches, epoch_order
from edgekd.data.splits import Splits


@dataclass(frozen=True)
class SaliencyData:
    """The argument `data` of a criterion.

    Attributes:
        batch_size: size of the batches.
        loss: the distillation loss of `model` on a batch, with autograd's graph.
        seed: seed of this cut; the order of the batches depends on it.
    """

    model: nn.Module
    splits: Splits
    batch_size: int
    loss: Callable[[Batch], Tensor]
    seed: int
    _gradients: dict[int, dict[nn.Parameter, Tensor]] = field(default_factory=dict, repr=False)

    @property
    def x(self) -> Tensor:
        """The first batch's inputs, (N, ...), float32, normalised."""
        return self.batches(1)[0].x

    @property
    def y(self) -> Tensor:
        """The first batch's class indices, (N,)."""
        return self.batches(1)[0].y

    def batches(self, count: int) -> list[Batch]:
        """Return at most `count` batches of the training split, without augmentation."""
        order = epoch_order(len(self.splits.train), self.seed, 0)
        return list(islice(batches(self.splits.train, self.splits, self.batch_size, order=order), count))

    def gradients(self, count: int) -> dict[nn.Parameter, Tensor]:
        """Return the mean gradient of the loss over `count` batches, in evaluation mode; it is computed once.

        In training mode, batch norm would make the loss independent of the scale of the filters before it: their sum of
        weight times gradient would be zero.
        """
        if count not in self._gradients:
            self._gradients[count] = self._mean_gradients(self.batches(count))
        return self._gradients[count]

    def _mean_gradients(self, sample: list[Batch]) -> dict[nn.Parameter, Tensor]:
        self.model.eval()
        parameters = list(self.model.parameters())
        total = {parameter: torch.zeros_like(parameter) for parameter in parameters}
        for batch in sample:
            with torch.enable_grad():
                gradients = torch.autograd.grad(self.loss(batch), parameters, allow_unused=True)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    total[parameter] += gradient / len(sample)
        return total
