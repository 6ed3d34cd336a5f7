"""Inputs for running a network where the values do not matter: from a shape, or from one sample."""

import torch
from torch import Tensor, nn

Example = tuple[int, ...] | Tensor
"""The shape of a float32 input, without N; or the values of one input, as integers (tokens) need them."""


def inputs_for(model: nn.Module, example: Example, count: int) -> Tensor:
    """Return `count` inputs, (count, ...), on the device of the model."""
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    one = example if isinstance(example, Tensor) else torch.zeros(example)
    return one.expand(count, *one.shape).contiguous().to(device)
