"""Inputs to try a network with, of whose values nothing depends: from a shape, or from one sample."""

import torch
from torch import Tensor, nn

Example = tuple[int, ...] | Tensor
"""The shape of an input, float32, without N; or one input's values, as integers (tokens) need it."""


def inputs_for(model: nn.Module, example: Example, count: int) -> Tensor:
    """(count, ...) inputs on the device of the model."""
    device = next((parameter.device for parameter in model.parameters()), torch.device("cpu"))
    one = example if isinstance(example, Tensor) else torch.zeros(example)
    return one.expand(count, *one.shape).contiguous().to(device)
