"""A multi-layer perceptron for inputs of any shape, which it flattens."""

from collections.abc import Sequence
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from edgekd.errors import ModelError
from edgekd.models.parts import he_init, positive

ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "relu6": nn.ReLU6}


class MLP(nn.Module):
    """Linear layers with an activation after each but the last.

    Args:
        hidden: width of each hidden layer; [] makes a linear classifier.
        dropout: share of each hidden layer's outputs that training leaves out.
        activation: activation of the hidden layers, "relu" or "relu6".
        input_dropout: share of the inputs that training leaves out.
        max_norm: training keeps each unit's incoming weights within this length (the constraint of Hinton et al., 2012,
            "Improving neural networks by preventing co-adaptation of feature detectors"); 0 leaves them free.
    """

    def __init__(
        self,
        classes: int,
        input_shape: Sequence[int],
        hidden: Sequence[int] = (256, 128),
        dropout: float = 0.0,
        activation: str = "relu",
        input_dropout: float = 0.0,
        max_norm: float = 0.0,
    ) -> None:
        super().__init__()
        if not input_shape:
            raise ModelError(
                "mlp needs at least one number per input; these inputs have shape ()", "data shaped (N, ...)"
            )
        if activation not in ACTIVATIONS:
            raise ModelError(f"mlp has no activation {activation!r}", f"activation = one of {', '.join(ACTIVATIONS)}")
        positive("mlp", **{f"hidden[{i}]": width for i, width in enumerate(hidden)})
        widths = [prod(input_shape), *hidden]
        self.max_norm = max_norm
        layers: list[nn.Module] = [nn.Flatten()]
        if input_dropout:
            layers.append(nn.Dropout(input_dropout))
        for inputs, outputs in pairwise(widths):
            layers += [nn.Linear(inputs, outputs), ACTIVATIONS[activation]()]
            if dropout:
                layers.append(nn.Dropout(dropout))
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], classes))
        he_init(self)

    def forward(self, x: Tensor) -> Tensor:
        """Map inputs (N, ...) to logits (N, classes)."""
        if self.training and self.max_norm:
            self._constrain()
        logits: Tensor = self.layers(x)
        return logits

    @torch.no_grad()
    def _constrain(self) -> None:
        """Shorten the weights that the last step made too long."""
        for layer in self.layers:
            if isinstance(layer, nn.Linear):
                layer.weight.copy_(torch.renorm(layer.weight, p=2, dim=0, maxnorm=self.max_norm))
