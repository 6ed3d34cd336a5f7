"""What a pruning criterion may look at beside the weights: training batches, a seed, and the loss's gradients."""

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

import torch
from torch import Tensor, nn

from edgekd.data.batches import Batch, batches, epoch_order
from edgekd.data.splits import Splits


@dataclass(frozen=True)
class SaliencyData:
    """The `batch` of a criterion's contract.

    Attributes:
        batch_size: of the batches handed out.
        loss: the distillation loss of `model` on a batch, with autograd's graph.
        seed: of this cut; it chooses the batches too.
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
        """At most `count` batches of the training split, not augmented; never of validation or test."""
        order = epoch_order(len(self.splits.train), self.seed, 0)
        return list(islice(batches(self.splits.train, self.splits, self.batch_size, order=order), count))

    def gradients(self, count: int) -> dict[nn.Parameter, Tensor]:
        """The mean gradient of the loss over `count` batches, in evaluation mode; computed once.

        In evaluation mode, because a batch norm that follows its batch makes the loss blind to the scale of the filters
        before it: their sum of weight times gradient would be zero.
        """
        if count not in self._gradients:
            self._gradients[count] = self._mean_gradients(self.batches(count))
        return self._gradients[count]

    def _mean_gradients(self, chosen: list[Batch]) -> dict[nn.Parameter, Tensor]:
        self.model.eval()
        parameters = list(self.model.parameters())
        total = {parameter: torch.zeros_like(parameter) for parameter in parameters}
        for batch in chosen:
            with torch.enable_grad():
                gradients = torch.autograd.grad(self.loss(batch), parameters, allow_unused=True)
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if gradient is not None:
                    total[parameter] += gradient / len(chosen)
        return total
