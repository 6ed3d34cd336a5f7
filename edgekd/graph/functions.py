"""The functions of one value that `Unary` stands for, in torch: on real values, in whatever precision they come."""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from edgekd.graph.structure import Quantization

FUNCTIONS: dict[str, Callable[[Tensor, float], Tensor]] = {
    "sigmoid": lambda x, alpha: torch.sigmoid(x),
    "tanh": lambda x, alpha: torch.tanh(x),
    "hard_swish": lambda x, alpha: F.hardswish(x),
    "gelu": lambda x, alpha: F.gelu(x),
    "gelu_tanh": lambda x, alpha: F.gelu(x, approximate="tanh"),
    "leaky_relu": lambda x, alpha: F.leaky_relu(x, alpha),
    "elu": lambda x, alpha: F.elu(x, alpha),
    "softplus": lambda x, alpha: F.softplus(x),
    "mish": lambda x, alpha: F.mish(x),
}
"""function -> (values, alpha) -> values. Alpha is leaky_relu's slope below zero; elu comes close to -alpha there."""

SATURATING = {"sigmoid": Quantization(1 / 256, -128), "tanh": Quantization(1 / 128, 0)}
"""function -> the scale and zero point that TFLite demands of its output."""
